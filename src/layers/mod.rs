//! One layer per file. The table lists the layers in the order of a request; [`crate::stack`] combines them.
//!
//! | layer | takes | gives |
//! |---|---|---|
//! | [`request_id`] | a request and its peer | a request with its [`RequestContext`] |
//! | [`access_log`], [`refuse`] | a request | the same request |
//! | [`limits`] | a request | a request whose body is [`limits::Bounded`] |
//! | [`route`] | a request with a `Bounded` body | [`route::Routed`]: the operation is known |
//! | [`authenticate`] | `Routed` | [`authenticate::Identified`]: the caller is known |
//! | [`authorize`] | `Identified` | [`authorize::Permitted`]: the caller may make the request |
//! | [`conform`] | `Permitted` | [`conform::Conforming`]: the request fits the contract |
//! | [`domain`] | `Conforming` | [`domain::Addressed`]: the origin is known |
//! | [`credentials`] | `Addressed` | [`credentials::WithCredentials`]: the credentials are upstream's |
//! | [`record`] | `WithCredentials` | [`record::Cleared`]: a deletion's intent is on stable storage |
//!
//! The column "gives" lists the stage types. Each stage type has private fields, so only the file of its
//! layer can make it. A stack that lacks a layer or has two layers in the wrong order therefore does not
//! compile. The facts of a request are in its context, not in the stages.
//!
//! [`RequestContext`]: crate::request::RequestContext

pub(crate) mod access_log;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod conform;
pub mod credentials;
pub mod domain;
pub mod limits;
pub mod record;
pub(crate) mod refuse;
pub(crate) mod request_id;
pub mod route;
