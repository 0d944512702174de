# SPDX-License-Identifier: Apache-2.0
"""An OpenID provider for tests of the login: a site of Django with django-oauth-toolkit, as small as one can be.

openid_site.py '{"port": .., "dir": .., "seconds": .., "users": {name: [group, ..]}, "redirects": [..], "home": [..]}'

Runs with the Python of `scripts/pypi django-oauth-toolkit`. Its database and its key stay in dir, so what it has
given out is good after a restart. Everybody's password is "password of NAME". There are two clients: `loom`, with the
secret "a secret: of loom & its page", and `loom-public`.
"""

import json
import os
import pathlib
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

WISH = json.loads(sys.argv[1])
DIR = pathlib.Path(WISH["dir"])
ISSUER = f"http://127.0.0.1:{WISH['port']}/o"
SECRET = "a secret: of loom & its page"
PAGES = {
    "oauth2_provider/base.html": "<!doctype html><title>Provider</title>{% block content %}{% endblock %}",
    "registration/login.html": "<!doctype html><title>Provider</title><form method=post id=login>{% csrf_token %}{{ form }}"
                               "<button>Log in</button></form>",
    "registration/logged_out.html": "<!doctype html><title>Provider</title><p>Logged out.</p>",
}


def key():
    """The private key that tokens are signed with, made once."""
    file = DIR / "provider.pem"
    if not file.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        made = rsa.generate_private_key(65537, 2048)
        file.write_bytes(made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption()))
    return file.read_text(encoding="ascii")


def validator():
    """Claims of ours: the name as the subject, and the groups."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):
        oidc_claim_scope = None

        def get_additional_claims(self, request):
            return {"sub": request.user.username,
                    "groups": list(request.user.groups.values_list("name", flat=True))}

    return Validator


def prepare():
    """Database, users and clients, where they are not there yet."""
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Group, User
    from oauth2_provider.models import Application
    for name, groups in WISH["users"].items():
        user, new = User.objects.get_or_create(username=name)
        if new:
            user.set_password(f"password of {name}")
            user.save()
        user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    for client, kind in (("loom", "confidential"), ("loom-public", "public")):
        Application.objects.update_or_create(client_id=client, defaults={
            "name": "Loom", "client_type": kind, "authorization_grant_type": "authorization-code",
            "client_secret": SECRET if kind == "confidential" else "", "algorithm": "RS256",
            "redirect_uris": " ".join(WISH["redirects"]), "post_logout_redirect_uris": " ".join(WISH["home"])})


def pages():
    """Where the site answers."""
    from django.contrib.auth.views import LoginView
    from django.urls import include, path
    return [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
            path("accounts/login/", LoginView.as_view())]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback
    settings.configure(
        SECRET_KEY=key(), DEBUG=False, ALLOWED_HOSTS=["127.0.0.1"], USE_TZ=True, ROOT_URLCONF="openid_urls",
        LOGIN_URL="/accounts/login/", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        # Cookies know no ports: Loom's are at the same host.
        SESSION_COOKIE_NAME="provider_session", CSRF_COOKIE_NAME="provider_csrf",
        CSRF_COOKIE_HTTPONLY=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DIR / "provider.sqlite"),
                               "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"}}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                        "oauth2_provider"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                    "django.middleware.csrf.CsrfViewMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                    "OPTIONS": {"context_processors": ["django.template.context_processors.request"], "loaders": [
                        ("django.template.loaders.locmem.Loader", PAGES),
                        "django.template.loaders.app_directories.Loader"]}}],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True, "OIDC_ISS_ENDPOINT": ISSUER, "OIDC_RSA_PRIVATE_KEY": key(),
            "SCOPES": {"openid": "Who you are", "profile": "Your name"}, "OAUTH2_VALIDATOR_CLASS": "openid_urls.Validator",
            "ID_TOKEN_EXPIRE_SECONDS": WISH["seconds"], "ACCESS_TOKEN_EXPIRE_SECONDS": WISH["seconds"],
            "PKCE_REQUIRED": True, "ROTATE_REFRESH_TOKEN": True, "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
            "REQUEST_APPROVAL_PROMPT": "force", "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
            "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False})
    django.setup()
    # What the settings name by a module's name is made here.
    module = type(sys)("openid_urls")
    sys.modules["openid_urls"] = module
    module.Validator = validator()
    prepare()
    module.urlpatterns = pages()
    from django.core.wsgi import get_wsgi_application
    server = ThreadedWSGIServer(("127.0.0.1", WISH["port"]), Quiet)
    server.set_app(get_wsgi_application())
    server.serve_forever()


main()
