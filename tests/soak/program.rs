//! The built program, and a registry that is not ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Debian's docker-registry, with its content in a folder that goes with it.
pub(crate) struct DockerRegistry {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let settings = serde_json::json!({
            "version": "0.1",
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": folder.path() } },
            "http": { "addr": address.to_string(), "secret": "signs the states of uploads" },
        });
        let file = folder.path().join("registry.yml");
        // JSON is YAML.
        std::fs::write(&file, settings.to_string()).expect("a file");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed: scripts/tools does it");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "docker-registry does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { address, process, _folder: folder }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The built program with a list; `IMAGE_SYNCER_BIN` names another one than that of the tests' own profile.
pub(crate) struct Program {
    binary: PathBuf,
    folder: tempfile::TempDir,
    target: String,
    peak_kib: AtomicU64,
}

impl Program {
    pub(crate) fn new(entries: impl Iterator<Item = String>, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let entries: Vec<String> = entries.map(|entry| format!("  - {entry}\n")).collect();
        let list = format!("images:\n{}", entries.concat());
        std::fs::write(folder.path().join("external-images.yaml"), list).expect("a list");
        let own = Path::new(env!("CARGO_BIN_EXE_image-syncer"));
        let binary = std::env::var_os("IMAGE_SYNCER_BIN").map_or_else(|| own.to_owned(), PathBuf::from);
        Self { binary, folder, target: format!("{target}/mirror/"), peak_kib: AtomicU64::default() }
    }

    /// Runs it, and gives its report.
    pub(crate) fn sync(&self) -> Value {
        let folder = self.folder.path();
        let status = Command::new("/usr/bin/time")
            .args(["-f", "%M", "-o", "peak"])
            .arg(&self.binary)
            .args(["sync", "--report", "report.json", "-r", &self.target])
            .env_clear()
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("GNU time is installed");
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        let peak = std::fs::read_to_string(folder.join("peak")).expect("the peak");
        let peak = peak.lines().last().and_then(|line| line.parse().ok()).expect("a number");
        self.peak_kib.fetch_max(peak, Ordering::Relaxed);
        let report = std::fs::read(folder.join("report.json")).expect("a report");
        serde_json::from_slice(&report).expect("JSON")
    }

    /// The most memory that any run had.
    pub(crate) fn peak_mib(&self) -> f64 {
        f64::from(u32::try_from(self.peak_kib.load(Ordering::Relaxed)).expect("a sane number")) / 1024.0
    }
}
