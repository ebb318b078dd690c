//! What the binary may not contain.

use std::process::Command;

/// See "Why abomonation is not in the binary" in ARCHITECTURE.md.
#[test]
fn abomonation_is_not_in_the_binary() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let has = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    assert!(has("timely") && has("differential-dataflow"), "this is not our tree:\n{tree}");
    assert!(!has("abomonation") && !has("abomonation_derive"), "abomonation is back:\n{tree}");
}
