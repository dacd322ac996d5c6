//! `check` says before a start what `run` would say after it.

use std::process::Output;

use serde_json::Value;

use super::program::Home;
use super::users::Users;
use crate::support::trail::lychgate;

fn check(home: &Home, config: &str, flags: &[&str]) -> Output {
    let mut command = lychgate();
    command.arg("check").args(flags).arg("--config");
    command.arg(home.path(config)).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// The findings of `check --json` that are errors.
fn errors(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let findings = text.lines().map(|line| serde_json::from_str(line).unwrap());
    findings
        .filter(|finding: &Value| finding["level"] == "error")
        .collect()
}

#[test]
fn p12_check_beside_the_gateway_of_its_config_is_fine() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let gateway = home.start_ready();
    let holder = format!("process {} (", gateway.pid());
    let beside = check(&home, "lychgate.toml", &[]);
    assert_eq!(beside.status.code(), Some(0), "{}", text(&beside));
    assert!(
        text(&beside).contains("note on this machine"),
        "{}",
        text(&beside)
    );
    assert!(text(&beside).contains(&holder), "{}", text(&beside));

    std::fs::copy(home.path("lychgate.toml"), home.path("second.toml")).unwrap();
    let second = check(&home, "second.toml", &["--json"]);
    assert_eq!(second.status.code(), Some(78), "{}", text(&second));
    let errors = errors(&second);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let message = errors[0]["message"].as_str().unwrap();
    let told = format!("locked: process {} writes this trail", gateway.pid());
    assert!(message.contains(&told), "{message}");
    assert_eq!(errors[0]["machine"], true);
}

#[test]
fn p4_check_and_run_tell_of_an_emptied_folder() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let gateway = home.start_ready();
    gateway.wait_published();
    assert!(gateway.stop().0.success());
    std::fs::remove_dir_all(home.audit()).unwrap();

    let told = check(&home, "lychgate.toml", &["--json"]);
    assert_eq!(told.status.code(), Some(78), "{}", text(&told));
    let errors = errors(&told);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let message = errors[0]["message"].as_str().unwrap();
    let words = message.split_once("rolled-back: ").expect(message).1;
    let shown = check(&home, "lychgate.toml", &[]);
    let place = format!(
        "lychgate.toml:{}:{}",
        errors[0]["line"], errors[0]["column"]
    );
    assert!(text(&shown).contains(&place), "{}", text(&shown));
    assert!(
        text(&shown).contains("error on this machine"),
        "{}",
        text(&shown)
    );
    assert!(shown.stdout.is_empty() && !home.audit().exists());

    let alone = check(&home, "lychgate.toml", &["--static"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone));
    let gateway = home.start();
    gateway.wait_for_cause("rolled-back");
    let page = gateway.page("/readyz?verbose");
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains(words), "{page}\n{words}");
}

#[test]
fn p3_check_and_run_tell_of_a_file_in_the_folders_place() {
    let users = Users::start();
    for above in [false, true] {
        let home = Home::new(users.address(), &[]);
        let file = home.audit();
        std::fs::write(&file, "in the way").unwrap();
        if above {
            let config = std::fs::read_to_string(home.path("lychgate.toml")).unwrap();
            let config = config.replace("\"audit\"", "\"audit/trail\"");
            std::fs::write(home.path("lychgate.toml"), config).unwrap();
        }
        let told = check(&home, "lychgate.toml", &["--json"]);
        let error = &errors(&told)[0];
        let message = error["message"].as_str().unwrap();
        let words = message.split_once("sync-failed: ").expect(message).1;
        let in_the_way = format!("{} is not a folder", file.display());
        assert!(words.ends_with(&in_the_way), "{words}");
        let gateway = home.start();
        gateway.wait_for_cause("sync-failed");
        let page = gateway.page("/readyz?verbose").shown();
        assert!(page.contains(words), "{page}");
        assert!(page.contains(error["hint"].as_str().unwrap()), "{page}");
    }
}

#[test]
fn p12_static_looks_at_the_file_alone() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    std::fs::remove_file(home.path("audit.key")).unwrap();
    std::fs::remove_file(home.path("keys.json")).unwrap();
    let here = check(&home, "lychgate.toml", &["--json"]);
    assert_eq!(
        (here.status.code(), errors(&here).len()),
        (Some(78), 2),
        "{}",
        text(&here)
    );
    assert!(errors(&here).iter().all(|found| found["machine"] == true));
    let alone = check(&home, "lychgate.toml", &["--static"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone));
    let both = check(&home, "lychgate.toml", &["--static", "--online"]);
    assert_eq!(both.status.code(), Some(2));
}
