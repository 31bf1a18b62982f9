//! Parts of the address: path parameters and query strings, refused as problems.

use super::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// Path parameters. One that has not its form names nothing: 404, like every id that does not exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Problem::new(Code::NotFound))
    }
}

/// The query string. Its types refuse unknown parameters themselves: `#[serde(deny_unknown_fields)]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| {
            let told = rejection.body_text();
            let told = told.strip_prefix("Failed to deserialize query string: ").unwrap_or(&told).to_owned();
            Problem::because(Code::BadParameter, format!("The query string cannot be used: {told}."))
        })
    }
}
