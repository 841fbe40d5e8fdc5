"""Our whole application, with Valkey's first answer given to every call: what is missing is the round trip alone."""

from typing import Any

from webapp.core.redis import Store
from wsgi import app as app  # noqa: PLC0414 - the server looks for it here

ask = Store.call
answers: list[Any] = []


def call(self: Store, *command: Any, **options: Any) -> Any:  # noqa: ANN401 - as the method it stands for
    """Ask once, for the first call that is admitted."""
    if answers:
        return answers[0]
    answer = ask(self, *command, **options)
    if isinstance(answer, list) and answer[0] == b"admitted":
        answers.append(answer)
    return answer


Store.call = call  # type: ignore[method-assign]
