//! One provider: its name alone, or a mapping with its name and what else it has to know.

use super::keys;
use crate::config::diagnostic::{Diagnostics, Reported, nearest};
use crate::config::fields::{Fields, Keys};
use crate::config::yaml::{Node, Value};
use crate::login::{Aws, Azure, Gcp, GcpCredentials, Name, Password, Provider};

/// The providers, each with its keys.
pub(super) const PROVIDERS: [(&str, Keys); 8] = [
    ("docker", keys("the provider `docker`", &["provider"])),
    ("anonymous", keys("the provider `anonymous`", &["provider"])),
    (
        "basic",
        keys(
            "the provider `basic`",
            &["provider", "username", "usernameVariable", "passwordVariable", "passwordStdin"],
        ),
    ),
    (
        DOCKER_HUB,
        keys("the provider `dockerhub`", &["provider", "username", "usernameVariable", "tokenVariable"]),
    ),
    ("github", keys("the provider `github`", &["provider", "tokenVariable"])),
    (
        "gcp",
        keys(
            "the provider `gcp`",
            &[
                "provider",
                "credentialsFile",
                "credentialsVariable",
                "workloadIdentityProvider",
                "serviceAccount",
            ],
        ),
    ),
    ("aws", keys("the provider `aws`", &["provider", "role", "region", "sessionName"])),
    ("azure", keys("the provider `azure`", &["provider", "clientId", "tenantId"])),
];

/// The longest value of a key, in characters.
const LONGEST: usize = 500;

/// The provider for Docker Hub and nothing else.
pub(super) const DOCKER_HUB: &str = "dockerhub";

/// Where Docker Hub's user and token are if nothing else is said.
const DOCKER_HUB_VARIABLES: (&str, &str) = ("DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN");

/// The provider, and the name that it was written by.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Result<(&'static str, Provider), Reported> {
    let nothing = Vec::new();
    let (name, pairs) = match &*node.value {
        Value::Scalar { .. } => (Some(node), &nothing),
        Value::Mapping(pairs) => {
            let is_name = |key: &Node| matches!(&*key.value, Value::Scalar { text } if text == "provider");
            (pairs.iter().find(|(key, _)| is_name(key)).map(|(_, value)| value), pairs)
        }
        Value::List(_) => (None, &nothing),
    };
    let Some(name) = name else {
        let message = format!("the key `provider` is missing; it is one of {}", names());
        return Err(diagnostics.fault(node.place, message));
    };
    let text = match &*name.value {
        Value::Scalar { text } => text.as_str(),
        Value::List(_) | Value::Mapping(_) => "",
    };
    let Some((provider, keys)) = PROVIDERS.iter().find(|(known, _)| *known == text) else {
        let known = PROVIDERS.map(|(name, _)| name);
        let hint = nearest(text, &known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let message = format!("this is none of the providers {}{hint}", names());
        return Err(diagnostics.fault(name.place, message));
    };
    let before = diagnostics.faults.len();
    let fields = Fields::read(pairs, keys, diagnostics);
    if diagnostics.faults.len() > before {
        return Err(Reported);
    }
    let mut reader = Reader { fields, node, diagnostics };
    let read = match *provider {
        "anonymous" => Provider::Anonymous,
        "basic" => reader.basic()?,
        DOCKER_HUB => reader.docker_hub()?,
        "github" => {
            Provider::GitHub { token_variable: reader.checked("tokenVariable", VARIABLE, is_variable)? }
        }
        "gcp" => reader.gcp()?,
        "aws" => reader.aws()?,
        "azure" => reader.azure()?,
        _ => Provider::Docker,
    };
    Ok((provider, read))
}

fn names() -> String {
    PROVIDERS.map(|(name, _)| format!("`{name}`")).join(", ")
}

/// The values of one provider.
struct Reader<'a> {
    fields: Fields<'a>,
    node: &'a Node,
    diagnostics: &'a mut Diagnostics,
}

const VARIABLE: &str =
    "the name of a variable in capitals, such as REGISTRY_PASSWORD; a secret itself does not belong here";

impl Reader<'_> {
    fn basic(&mut self) -> Result<Provider, Reported> {
        let username = self.username(None)?;
        let variable = self.checked("passwordVariable", VARIABLE, is_variable)?;
        let input = self.checked("passwordStdin", "`true`", |text| text == "true")?;
        let password = match (variable, input) {
            (Some(name), None) => Password::Variable(name),
            (None, Some(_)) => Password::StandardInput,
            _ => return Err(self.either("passwordVariable", "passwordStdin")),
        };
        Ok(Provider::Basic { username, password })
    }

    fn docker_hub(&mut self) -> Result<Provider, Reported> {
        let (user, token) = DOCKER_HUB_VARIABLES;
        let username = self.username(Some(user))?;
        let token = self.checked("tokenVariable", VARIABLE, is_variable)?.unwrap_or_else(|| token.to_owned());
        Ok(Provider::Basic { username, password: Password::Variable(token) })
    }

    fn username(&mut self, default: Option<&str>) -> Result<Name, Reported> {
        let is_user = |text: &str| !text.contains(':') && !text.contains(char::is_control);
        let written = self.checked("username", "a user's name, which has no `:`", is_user)?;
        let variable = self.checked("usernameVariable", VARIABLE, is_variable)?;
        match (written, variable, default) {
            (Some(name), None, _) => Ok(Name::Written(name)),
            (None, Some(name), _) => Ok(Name::Variable(name)),
            (None, None, Some(name)) => Ok(Name::Variable(name.to_owned())),
            _ => Err(self.either("username", "usernameVariable")),
        }
    }

    fn gcp(&mut self) -> Result<Provider, Reported> {
        let file = self.checked("credentialsFile", "the path of a file", |_| true)?;
        let variable = self.checked("credentialsVariable", VARIABLE, is_variable)?;
        let pool = self.checked(
            "workloadIdentityProvider",
            "`projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`",
            is_workload_identity_provider,
        )?;
        let account = "the email of a service account, such as mirror@project.iam.gserviceaccount.com";
        let service_account = self.checked("serviceAccount", account, is_service_account)?;
        let credentials = match (file, variable, pool) {
            (None, None, None) => GcpCredentials::Environment,
            (Some(path), None, None) => GcpCredentials::File(path.into()),
            (None, Some(name), None) => GcpCredentials::Variable(name),
            (None, None, Some(pool)) => GcpCredentials::WorkloadIdentity(pool),
            _ => {
                let message = "`credentialsFile`, `credentialsVariable` and `workloadIdentityProvider` exclude each \
                               other; keep one";
                return Err(self.diagnostics.fault(self.node.place, message));
            }
        };
        Ok(Provider::Gcp(Gcp { credentials, service_account }))
    }

    fn aws(&mut self) -> Result<Provider, Reported> {
        let role =
            self.checked("role", "a role's ARN, such as arn:aws:iam::123456789012:role/mirror", is_role)?;
        let region =
            self.checked("region", "a region, such as eu-central-1", |text| is_made_of(text, "-"))?;
        let is_session = |text: &str| (2..=64).contains(&text.len()) && is_made_of(text, "_=,.@-");
        let session =
            self.checked("sessionName", "2 to 64 letters, digits and characters of `_=,.@-`", is_session)?;
        Ok(Provider::Aws(Aws { role, region, session }))
    }

    fn azure(&mut self) -> Result<Provider, Reported> {
        let id = "an id such as 00000000-0000-0000-0000-000000000000";
        let client = self.checked("clientId", id, |text| is_made_of(text, "-"))?;
        let tenant = self.checked("tenantId", id, |text| is_made_of(text, "-."))?;
        Ok(Provider::Azure(Azure { client, tenant }))
    }

    /// A key's text if it is there. What is wrong with it is said without repeating it.
    fn checked(
        &mut self,
        key: &str,
        form: &str,
        is_good: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, Reported> {
        let Some(node) = self.fields.get(key) else { return Ok(None) };
        match &*node.value {
            Value::Scalar { text }
                if !text.is_empty() && text.chars().count() <= LONGEST && is_good(text) =>
            {
                Ok(Some(text.clone()))
            }
            _ => Err(self.diagnostics.fault(node.place, format!("`{key}` is {form}"))),
        }
    }

    fn either(&mut self, one: &str, other: &str) -> Reported {
        let message = format!("it has either `{one}` or `{other}`; write one of them");
        self.diagnostics.fault(self.node.place, message)
    }
}

/// The names that are told when a variable is not set: no password looks like one.
fn is_variable(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_made_of(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, name] = parts[..] else { return false };
    arn == "arn"
        && partition.starts_with("aws")
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && name.starts_with("role/")
        && is_made_of(text, ":/_+=,.@-")
}

fn is_workload_identity_provider(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let [projects, number, locations, global, pools, pool, providers, provider] = parts[..] else {
        return false;
    };
    [projects, locations, global, pools, providers]
        == ["projects", "locations", "global", "workloadIdentityPools", "providers"]
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && [number, pool, provider].iter().all(|part| !part.is_empty() && is_made_of(part, "-"))
}

fn is_service_account(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty()
            && is_made_of(name, "-")
            && domain.ends_with(".gserviceaccount.com")
            && is_made_of(domain, "-.")
    })
}
