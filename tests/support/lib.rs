//! Shared parts of the suite: starting and ending the product and its peers.
