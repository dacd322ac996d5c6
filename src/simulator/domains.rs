//! The Domain API, which names the host that serves an account. The API has the two forms that its
//! public documentation shows.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::server::{NO_METHOD, NO_RESOURCE, error, json as answer_json};

/// The known services, in the real API's spelling.
const SERVICES: [&str; 2] = ["accountConfigReadOnly", "accountConfigReadWrite"];

/// Answers one request. `base` is the host of every account in `accounts`.
pub(super) fn answer(accounts: &[String], base: &str, request: &Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().strip_prefix("/api/account/");
    let parts: Vec<&str> = path.unwrap_or_default().split('/').collect();
    let (account, service) = match parts[..] {
        [account, "service", "baseURI.json"] => (account, None),
        [account, "service", service, "baseURI.json"] => (account, Some(service)),
        _ => return error(NO_RESOURCE),
    };
    if request.method() != Method::GET {
        return error(NO_METHOD);
    }
    if !accounts.iter().any(|known| known == account) {
        return error((StatusCode::UNAUTHORIZED, 21, "No such site"));
    }
    let entry = |service: &str| json!({"service": service, "account": account, "baseURI": base});
    match service {
        None => {
            let all: Vec<_> = SERVICES.into_iter().map(entry).collect();
            answer_json(StatusCode::OK, &json!({"baseURIs": all}))
        }
        Some(service) if SERVICES.contains(&service) => {
            answer_json(StatusCode::OK, &entry(service))
        }
        Some(_) => error((StatusCode::BAD_REQUEST, 22, "No such service")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn ask(method: &str, target: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(target);
        let request = request.body(Bytes::new()).unwrap();
        let response = answer(&["1".to_owned()], "127.0.0.1:9", &request);
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    }

    #[test]
    fn one_service_is_one_object() {
        let (status, body) = ask(
            "GET",
            "/api/account/1/service/accountConfigReadWrite/baseURI.json?version=1.0",
        );
        assert_eq!(status, 200);
        assert_eq!(
            body,
            json!({"service": "accountConfigReadWrite", "account": "1", "baseURI": "127.0.0.1:9"})
        );
    }

    #[test]
    fn all_services_are_a_list() {
        let (status, body) = ask("GET", "/api/account/1/service/baseURI.json?version=1.0");
        assert_eq!(
            (status, body["baseURIs"].as_array().unwrap().len()),
            (200, 2)
        );
        assert_eq!(body["baseURIs"][0]["service"], "accountConfigReadOnly");
    }

    #[test]
    fn an_unknown_account_service_or_path_has_no_base() {
        for (target, status) in [
            (
                "/api/account/2/service/accountConfigReadWrite/baseURI.json",
                401,
            ),
            (
                "/api/account/1/service/accountconfigreadwrite/baseURI.json",
                400,
            ),
            ("/api/account/1/baseURI.json", 404),
        ] {
            let (found, body) = ask("GET", target);
            assert_eq!((found, body.get("baseURI")), (status, None), "{target}");
        }
        assert_eq!(ask("POST", "/api/account/1/service/baseURI.json").0, 405);
    }
}
