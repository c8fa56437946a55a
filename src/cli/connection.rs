//! How registries are reached, as it was typed.

use std::path::PathBuf;

use clap::Args;

use super::value::{self, Endpoint};

/// How registries are reached.
#[derive(Debug, Args)]
pub struct ConnectionOptions {
    /// Reach a registry through another address, such as a pull-through cache, with the credentials of that
    /// address's host; may repeat
    #[arg(long = "endpoint", value_name = "HOST=URL", value_parser = value::EndpointParser, help_heading = "Connections")]
    pub endpoints: Vec<Endpoint>,
    /// Use plain HTTP for a registry, as loopback hosts do without asking; may repeat
    #[arg(long, value_name = "HOST", value_parser = value::host_name, help_heading = "Connections")]
    pub plain_http: Vec<String>,
    /// Trust the CA certificates of this PEM file too
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub ca_file: Option<PathBuf>,
    /// A client certificate, as a PEM file; needs --client-key
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub client_cert: Option<PathBuf>,
    /// The client certificate's key, as a PEM file; needs --client-cert
    #[arg(long, value_name = "FILE", help_heading = "Connections")]
    pub client_key: Option<PathBuf>,
}

impl ConnectionOptions {
    /// What no option can say of itself.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err("--client-cert and --client-key are given together, or not at all".to_owned());
        }
        for (number, endpoint) in self.endpoints.iter().enumerate() {
            if self.endpoints.iter().take(number).any(|other| other.host == endpoint.host) {
                return Err(format!("--endpoint has {} twice; keep one", endpoint.host));
            }
        }
        Ok(())
    }
}
