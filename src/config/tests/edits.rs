//! P12 with random edits: no edit of the reference causes a panic, and every problem has a
//! position.

use proptest::prelude::*;

use super::*;

/// Texts for edits: syntax, value types, keys, and characters of several bytes or columns.
const SCRAPS: &[&str] = &[
    "",
    "[",
    "]",
    "\"",
    "\n",
    "=",
    "#",
    "'''",
    "{",
    "}",
    "0",
    "-1",
    "1e9",
    "true",
    "[[issuer]]\n",
    "[audit]\n",
    "\u{0}",
    "\u{fc}",
    "\u{1f600}",
    "\r\n",
    "\t",
    "adress = 1\n",
    "a.b = 2\n",
    "[]",
    "\u{feff}",
    "9999999999999999999999",
    "1979-05-27",
    "\"http://host\"",
    "[x.y.z]\n",
];

fn edit() -> impl Strategy<Value = (usize, usize, &'static str)> {
    let scrap = proptest::sample::select(SCRAPS);
    (0..REFERENCE.len(), 0_usize..40, scrap)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p12_after_random_edits_every_problem_has_a_position(
        edits in proptest::collection::vec(edit(), 1..6),
    ) {
        let mut text = REFERENCE.to_owned();
        for (at, length, scrap) in edits {
            let start = (0..=at.min(text.len())).rev().find(|b| text.is_char_boundary(*b)).unwrap();
            let end = (start + length).min(text.len());
            let end = (end..=text.len()).find(|b| text.is_char_boundary(*b)).unwrap();
            text.replace_range(start..end, scrap);
        }
        let findings = Findings::default();
        let _ = read(&text, Path::new("lychgate.toml"), &findings);
        for (_, problem) in findings.sorted() {
            prop_assert!(problem.span.start <= text.len(), "{problem:?}");
            prop_assert!(problem.span.start <= problem.span.end, "{problem:?}");
            prop_assert!(!problem.message.is_empty() && !problem.hint.is_empty());
        }
        let problems = findings.render();
        let places = problems.rendered.matches("--> lychgate.toml:").count();
        prop_assert_eq!(places, problems.count.min(100), "{}", problems.rendered);
    }

    #[test]
    fn p12_no_text_causes_a_panic(text in "\\PC{0,200}") {
        let problems = Config::parse(&text, Path::new("lychgate.toml"));
        prop_assert!(problems.is_err_and(|problems| problems.count > 0));
    }
}
