//! What the sidecar logs, by tests that run again in a process of their own, with every line asked for.

use std::process::Command;

#[test]
fn no_log_line_holds_a_key() {
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads", "1"])
        .args([
            "ingress::a_refusal_of_the_upstream_is_told_once_and_by_name",
            "ingress::a_rotated_key_is_used_without_a_restart",
        ])
        .envs([("RUST_LOG", "trace"), ("AIOS_LOG_FORMAT", "json")])
        .output()
        .unwrap();
    let said = [again.stdout, again.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("test result: ok. 12 passed"), "{said:.1000}");
    let of_ours = |line: &&str| line.contains("\"target\":\"aios_");
    assert!(said.lines().any(|line| of_ours(&line)), "{said:.1000}");
    for key in ["sk-secret", "sk-newer"] {
        let line = said.lines().find(|line| line.contains(key));
        assert_eq!(line, None);
    }
}
