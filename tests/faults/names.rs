//! Registries that are not found, or are not who they should be: the built program says what is wrong and which host it
//! is, soon, and writes nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::content::put_image;
use crate::support::registry::TestRegistry;

/// Runs the built program on `source` into `target`, and gives what it told and its exit code.
fn sync(source: &str, target: &TestRegistry, options: &[&str]) -> (String, Option<i32>) {
    let home = tempfile::tempdir().expect("a folder");
    let list = format!("images:\n  - source: {source}/team/app:1\n    target: app\n");
    std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
    let began = Instant::now();
    let output = program(home.path())
        .args(["sync", "-r", &format!("{}/mirror/", target.host())])
        .args(options)
        .output()
        .expect("an output");
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(target.writes().is_empty() && target.tags().is_empty());
    (told.concat(), output.status.code())
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

/// Answers each connection with these bytes.
fn answers(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let mut hello = [0; 1024];
            let _ = connection.read(&mut hello);
            let _ = connection.write_all(bytes);
        }
    });
    format!("https://{address}")
}

#[test]
fn a_name_that_nobody_knows() {
    let target = TestRegistry::start();
    // The name is one that never will be (RFC 6761).
    let (told, code) = sync("registry.invalid", &target, &[]);
    assert_eq!(code, Some(1), "{told}");
    for part in ["source: failed to read manifest", "registry.invalid", "cannot connect"] {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
}

#[test]
fn a_host_that_does_not_speak_tls() {
    let target = TestRegistry::start();
    let plain = answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let (told, code) = sync("registry.test", &target, &["--endpoint", &format!("registry.test={plain}")]);
    assert_eq!(code, Some(1), "{told}");
    let host = plain.trim_start_matches("https://");
    for part in ["source: failed to read manifest", host] {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
}

#[test]
fn a_host_that_ends_the_handshake() {
    let target = TestRegistry::start();
    // A fatal alert, "handshake failure" (RFC 8446, section 6).
    let refusing = answers(&[21, 3, 3, 0, 2, 2, 40]);
    let (told, code) = sync("registry.test", &target, &["--endpoint", &format!("registry.test={refusing}")]);
    assert_eq!(code, Some(1), "{told}");
    let host = refusing.trim_start_matches("https://");
    for part in ["source: failed to read manifest", host, "HandshakeFailure"] {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
}

/// Nothing of it hurts what comes from elsewhere.
#[test]
fn a_good_image_beside_a_name_that_nobody_knows_arrives() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    put_image(&source.memory, "team/good", Some("1"), &[b"good"]);
    let home = tempfile::tempdir().expect("a folder");
    let good = format!("{}/team/good:1", source.host());
    let list = format!(
        "images:\n  - source: registry.invalid/a:1\n    target: a\n  - source: {good}\n    target: good\n"
    );
    std::fs::write(home.path().join("external-images.yaml"), list).expect("a list");
    let output = program(home.path()).args(["sync", "-r", &format!("{}/mirror/", target.host())]).output();
    assert_eq!(output.expect("an output").status.code(), Some(1));
    assert_eq!(target.tag("mirror/good", "1"), source.tag("team/good", "1"));
}
