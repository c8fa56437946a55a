"""Registries that want to be convinced, and a server before one: tokens, passwords, certificates, limits."""

from registries import DockerRegistry, Registry, Zot
from tokens import ACCOUNTS, ISSUER, TESTS, TokenService


class _WithTokens:
    """Beside a registry: its token service, and a token with which the tests may do everything in `repositories`."""

    def __init__(self, workplace, tokens, *repositories):
        self.tokens = tokens
        self.authorization = tokens.token_for_tests(*repositories)
        super().__init__(workplace)


class TokenDockerRegistry(_WithTokens, DockerRegistry):
    """docker-registry with a token service."""

    kind = "docker-registry-with-tokens"

    def _access(self):
        return {"auth": {"token": {
            "realm": self.tokens.realm, "service": TokenService.name, "issuer": ISSUER,
            "rootcertbundle": str(self.tokens.pair.certificate),
        }}}  # fmt: skip


class TokenZot(_WithTokens, Zot):
    """zot with a token service."""

    kind = "zot-with-tokens"

    def _access(self):
        return {"auth": {"bearer": {
            "realm": self.tokens.realm, "service": TokenService.name, "cert": str(self.tokens.pair.certificate),
        }}}  # fmt: skip


class PasswordZot(Zot):
    """zot with a file of passwords, and with each account's rights."""

    kind = "zot-with-passwords"
    authorization = f"Basic {TESTS.basic}"
    tokens = None
    _words = {"pull": ("read",), "push": ("create", "update")}

    def _access(self):
        passwords = self.folder.with_suffix(".htpasswd")
        passwords.write_text("".join(f"{each.user}:{each.hashed}\n" for each in ACCOUNTS))
        policies = {"adminPolicy": {"users": [TESTS.user], "actions": ["read", "create", "update", "delete"]}}
        for account in ACCOUNTS:
            actions = [word for action in account.actions for word in self._words[action]]
            if account is not TESTS:
                policies[account.pattern] = {"policies": [{"users": [account.user], "actions": actions}]}
        return {"auth": {"htpasswd": {"path": str(passwords)}}, "accessControl": policies}


class TlsDockerRegistry(DockerRegistry):
    """docker-registry with a certificate of `authority` for `names`. With `client` it wants to see one, too."""

    kind = "docker-registry-with-tls"

    def __init__(self, workplace, authority, names=("IP:127.0.0.1",), client=None):
        self._authority = authority
        self._pair = authority.issue("server", *names)
        self._wants_client = client is not None
        self.context = authority.context(client)
        super().__init__(workplace)

    def _tls(self):
        tls = {"certificate": str(self._pair.certificate), "key": str(self._pair.key)}
        if self._wants_client:
            tls["clientcas"] = [str(self._authority.certificate)]
        return {"tls": tls}


class Nginx(Registry):
    """nginx before a registry. It takes request bodies of so many bytes."""

    kind = "nginx"

    def __init__(self, workplace, registry, most_bytes):
        self._registry = registry
        self._most_bytes = most_bytes
        super().__init__(workplace)

    def statuses(self):
        """What requests were answered so far, each status once."""
        return set((self.folder / "statuses.log").read_text().split())

    def _arguments(self):
        configuration = self.folder / "nginx.conf"
        configuration.write_text(f"""
            daemon off;
            master_process off;
            pid {self.folder}/nginx.pid;
            error_log stderr;
            events {{ }}
            http {{
                log_format statuses $status;
                access_log {self.folder}/statuses.log statuses;
                client_body_temp_path {self.folder}/bodies;
                proxy_temp_path {self.folder}/answers;
                server {{
                    listen {self.host};
                    client_max_body_size {self._most_bytes};
                    location / {{
                        proxy_pass http://{self._registry.host};
                        proxy_set_header Host $http_host;
                    }}
                }}
            }}
        """)
        return ["nginx", "-p", self.folder, "-c", configuration]
