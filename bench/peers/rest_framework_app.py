"""A peer: Django REST framework, djangorestframework-api-key, and the framework's throttle in the same Redis.

As their documentation sets them up: HasAPIKey as the permission, a SimpleRateThrottle by key, Django's Redis cache.
"""

import json
import os
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.urls import path

FOLDER = Path(os.environ["BENCH_FOLDER"])
KEYS = int(os.environ["BENCH_KEYS"])
ANSWER = json.loads((FOLDER.parent / "answer.json").read_text())

settings.configure(
    SECRET_KEY="for the benchmark",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "rest_framework_api_key"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "peer.sqlite3",
            # Django's advice on performance: connections that outlive the request.
            "CONN_MAX_AGE": None,
        }
    },
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["BENCH_REDIS_URL"],
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_THROTTLE_RATES": {"key": f"{os.environ['BENCH_QUOTA']}/min"},
    },
)
django.setup()

# These need the settings above.
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import SimpleRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402
from rest_framework_api_key.permissions import HasAPIKey, KeyParser  # noqa: E402


class KeyThrottle(SimpleRateThrottle):
    """So many calls by one key."""

    scope = "key"

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002 - the framework's signature
        """Count by the key's public part."""
        prefix, _, _ = KeyParser().get(request).partition(".")
        return self.cache_format % {"scope": self.scope, "ident": prefix}


class TemplateView(APIView):
    """The same JSON as ours."""

    permission_classes = (HasAPIKey,)
    throttle_classes = (KeyThrottle,)

    def get(self, request: Request, template_id: str) -> Response:  # noqa: ARG002 - one template is measured
        """Give it."""
        return Response(ANSWER)


urlpatterns = [path("api/quantum/v1/templates/<template_id>", TemplateView.as_view())]
app = get_wsgi_application()


def make_keys() -> None:
    """Make the keys, and write them for the benchmark."""
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        raw_keys = [APIKey.objects.create_key(name=f"key {number}")[1] for number in range(KEYS + 1)]
    headers = [f"Authorization: Api-Key {raw}" for raw in [*raw_keys, "unknown.key"]]
    (FOLDER / "headers.json").write_text(json.dumps(headers))


if not (FOLDER / "headers.json").exists():
    make_keys()
