//! `policy test` as a process.
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn a_text_is_judged_by_the_policies_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let policy = "apiVersion: aios.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: bank}\nspec:\n  \
        rules:\n    - {name: no-competitors, action: Review, terms: {list: [Acme]}}\n";
    std::fs::write(path("policy.yaml"), policy).unwrap();
    std::fs::write(path("bad.txt"), "Unlike Acme, we care.").unwrap();
    std::fs::write(path("good.txt"), "We care.").unwrap();
    let judge = |document: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
            .args(["policy", "test", "-f"])
            .arg(path("policy.yaml"))
            .arg(path(document))
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (well, said) = judge("bad.txt");
    assert!(!well && said.starts_with("verdict: Review"), "{said}");
    assert!(
        said.contains("bank/no-competitors") && said.contains("[text 7..11]"),
        "{said}"
    );
    assert_eq!(judge("good.txt"), (true, "verdict: Pass\n".to_owned()));
}
