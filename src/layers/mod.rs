//! One layer a file, in the order a request meets them; [`crate::stack`] puts them together.
//!
//! | layer | takes | gives |
//! |---|---|---|
//! | [`request_id`] | a request and its peer | a request with its [`RequestContext`] |
//! | [`access_log`], [`refuse`] | a request | the same |
//! | [`limits`] | a request | a request whose body is [`limits::Bounded`] |
//! | [`route`] | that request | [`route::Routed`]: which operation |
//! | [`authenticate`] | `Routed` | [`authenticate::Identified`]: who is calling |
//! | [`authorize`] | `Identified` | [`authorize::Permitted`]: they may |
//! | [`conform`] | `Permitted` | [`conform::Conforming`]: it fits the contract |
//! | [`domain`] | `Conforming` | [`domain::Addressed`]: where to |
//! | [`credentials`] | `Addressed` | [`credentials::WithCredentials`]: upstream's credentials in place of the caller's |
//! | [`record`] | `WithCredentials` | [`record::Cleared`]: a deletion's intent is on stable storage |
//!
//! A stage type has private fields and is made in its layer's file alone, so a stack that lacks a layer
//! or has it in another place does not compile. The context holds the facts of a request, the stages do not.
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
