//! Examples of queries, then properties against a plain model.

use proptest::prelude::*;

use super::*;

fn version(query: &str) -> Result<(), VersionFault> {
    Query::parse(query)
        .unwrap_or_else(|fault| panic!("{query}: {fault}"))
        .check_version("4.0")
}

fn all(queries: &[&str], wanted: Result<(), VersionFault>) {
    for query in queries {
        assert_eq!(version(query), wanted, "{query}");
    }
}

#[test]
fn exactly_4_0_exactly_once_passes() {
    all(
        &[
            "v=4.0",
            "%76=4.0",
            "select=id&v=4.0",
            "v=4.0&",
            "&v=4.0",
            "&&v=4.0&&",
            "v=4.0&a=b;c=d",
            "v=4.0&select=%24all&x=%zz",
            "v=4.0&V=5.0",
            "v=4.0&vv=5.0",
            "v=4.0&v%00=5.0",
            "v=4.0&%2576=5",
            "v=4.0&include_deleted=False",
            "v=4.0&ids=1;2",
            "v=4.0&=5.0",
            "v=4.0&x=v=5.0",
        ],
        Ok(()),
    );
}

#[test]
fn no_v_is_missing() {
    all(
        &[
            "",
            "&",
            "x=1",
            "V=4.0",
            "vv=4.0",
            "select=v",
            "x=v=4.0",
            "v%20=4.0",
            "%2576=4.0",
        ],
        Err(VersionFault::Missing),
    );
}

#[test]
fn a_bare_v_or_one_only_after_a_semicolon_is_missing() {
    all(
        &[
            "v",
            "%76",
            "v;a=b",
            "a=b;v=4.0",
            "a;v=4.0",
            ";v=4.0",
            "x=1&;v=4.0",
            "a=b;v",
            "v;v2=4.0",
        ],
        Err(VersionFault::Missing),
    );
}

#[test]
fn any_other_value_is_unsupported() {
    all(
        &[
            "v=4",
            "v=4.00",
            "v=4%2E0",
            "v=%34.0",
            "v=5.0",
            "v=",
            "v==4.0",
            "v=4.0=",
            "v=4.0%20",
            "v=+4.0",
            "v=4.0?",
            "v=04.0",
            "v=4,0",
            "v=4.0%00",
            "v=4.0%26v=4.0",
        ],
        Err(VersionFault::Unsupported),
    );
}

#[test]
fn a_parameter_inside_the_value_of_v_stays_there() {
    all(
        &[
            "v=4.0;ids=1",
            "v=4.0;v=4.0",
            "v=4.0;",
            "v=4.0;v",
            "v=4.0;x",
            "v=4.0;%zz=1",
        ],
        Err(VersionFault::Unsupported),
    );
    let query = Query::parse("v=4.0;ids=1;v=5.0").unwrap();
    assert_eq!(query.versions, [Some("4.0;ids=1;v=5.0".to_owned())]);
    assert_eq!(
        (query.versions_after_semicolon, query.ids_after_semicolon),
        (0, 0)
    );
}

#[test]
fn more_than_one_v_is_ambiguous() {
    all(
        &[
            "v=4.0&v=4.0",
            "v=4.0&%76=5.0",
            "v=4.0&v",
            "v&v=4.0",
            "v=4.0&a=b;v=5.0",
            "v=4.0&a=b;%76=5.0",
            "a=b;v=5.0&v=4.0",
            "v=4.0&;v",
            "v=5.0&v=6.0",
            "v=4.0&a;b;v=4.0",
            "v;v=4.0",
            "a=b;v=4.0;v=5.0",
            "v=4.0&ids=1;v=5.0",
            "v=4.0&v;x=5.0",
        ],
        Err(VersionFault::Ambiguous),
    );
}

#[test]
fn ids_are_kept_raw_and_counted_by_how_they_were_found() {
    let query = Query::parse("v=4.0&ids=1%2C2&%69ds&a;ids=3&b=c;%69%64%73").unwrap();
    assert_eq!(query.ids, [Some("1%2C2".to_owned()), None]);
    assert_eq!(query.ids_after_semicolon, 2);
    assert_eq!(query.check_version("4.0"), Ok(()));
    let query = Query::parse("ids=1;ids=2").unwrap();
    assert_eq!(query.ids, [Some("1;ids=2".to_owned())]);
    assert_eq!(query.ids_after_semicolon, 1);
    assert_eq!(
        Query::parse("IDS=1&idss=2&id=3&x=ids").unwrap(),
        Query::default()
    );
}

#[test]
fn a_method_parameter_is_found_anywhere() {
    for query in [
        "_method=DELETE",
        "v=4.0&_method=DELETE",
        "v=4.0&%5Fmethod=GET",
        "_method",
        "a;_method=DELETE",
        "v=4.0;_method=DELETE",
        "a=b;%5f%6d%65thod",
        "v=4.0;x;_method",
        "ids=1;_method=x",
        "_metho%64=",
    ] {
        assert!(Query::parse(query).unwrap().method, "{query}");
    }
    for query in [
        "_methods=DELETE",
        "method=DELETE",
        "x=_method",
        "__method=1",
        "v=4.0",
        "_metho",
        "x=%3B_method",
    ] {
        assert!(!Query::parse(query).unwrap().method, "{query}");
    }
}

#[test]
fn a_broken_escape_in_any_name_is_an_error() {
    for query in [
        "%",
        "%7=4.0",
        "v=4.0&%zz=1",
        "v=4.0&a%=1",
        "a=b;%7",
        "a_very_long_name%g1=x",
        "v=4.0&x;%",
    ] {
        assert!(Query::parse(query).is_err(), "{query}");
    }
}

#[test]
fn a_broken_escape_in_a_value_is_upstream_s_business() {
    assert!(Query::parse("v=4.0&select=%&x=%zz&ids=%").is_ok());
}

#[test]
fn a_name_outside_ascii_is_not_checked() {
    assert_eq!(
        Query::parse("\u{e9}=1&v\u{e9}=2&%C3%A9=3&%ff"),
        Ok(Query::default())
    );
}

fn escaped(name: &str, mask: u8) -> String {
    name.bytes()
        .enumerate()
        .map(|(at, byte)| match mask >> at & 1 {
            1 => format!("%{byte:02x}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

proptest! {
    #[test]
    fn the_parser_never_panics(query in "\\PC{0,60}", dense in "[v;&=%76idsmeth_0-4.]{0,40}") {
        let _ = Query::parse(&query).map(|found| found.check_version("4.0"));
        let _ = Query::parse(&dense).map(|found| found.check_version("4.0"));
    }

    #[test]
    fn a_query_that_passes_has_one_v_to_every_reader(query in "([v&;=a]|4\\.0|%76|v=4\\.0|&v=){0,12}") {
        if Query::parse(&query).is_ok_and(|found| found.check_version("4.0").is_ok()) {
            let plain = query.replace("%76", "v");
            let count = |separators: &[char]| plain.split(separators)
                .filter(|part| part.split('=').next() == Some("v")).collect::<Vec<_>>();
            prop_assert_eq!(count(&['&']), ["v=4.0"]);
            prop_assert_eq!(count(&['&', ';']), ["v=4.0"]);
        }
    }

    #[test]
    fn every_spelling_of_a_name_is_found(mask in any::<u8>(), before in "[a-h]{0,3}", joint in "[&;]") {
        let query = format!("{before}{joint}{}=DELETE", escaped("_method", mask));
        prop_assert!(Query::parse(&query).unwrap().method);
        let query = Query::parse(&format!("{before}{joint}{}=1", escaped("ids", mask))).unwrap();
        prop_assert_eq!(query.ids.len() + query.ids_after_semicolon, 1);
        let query = Query::parse(&format!("{before}{joint}{}=4.0", escaped("v", mask))).unwrap();
        prop_assert_eq!(query.versions.len() + query.versions_after_semicolon, 1);
    }
}

#[test]
fn every_spelling_of_a_method_override_is_found() {
    for name in [
        "_method",
        "_METHOD",
        ".method",
        "+_method",
        "%20_method",
        "%5fMethod",
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
    ] {
        assert!(
            Query::parse(&format!("v=4.0&{name}=DELETE"))
                .unwrap()
                .method,
            "{name}"
        );
    }
    for name in ["method", "my_method", "_methods", "x-http"] {
        assert!(
            !Query::parse(&format!("v=4.0&{name}=DELETE"))
                .unwrap()
                .method,
            "{name}"
        );
    }
}
