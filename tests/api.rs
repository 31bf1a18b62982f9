//! The admin plane as its users meet it: the program, an SMSC, and nothing but HTTP.
//!
//! Every test starts an installation of its own and makes everybody in it through the API.

mod calendar;
mod company;
mod contract;
mod hostile;
mod maintenance;
mod onboarding;
mod outage;
mod people;
mod provider;
mod reads;
mod records;
mod trail;
mod upload;
