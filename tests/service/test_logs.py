"""Log lines."""

import json
import logging

from service.logs import JsonFormatter


def test_a_json_line_holds_message_level_and_moment() -> None:
    record = logging.LogRecord("service.workers", logging.INFO, __file__, 1, "job %s: running", ("a",), None)

    line = json.loads(JsonFormatter().format(record))

    assert (line["message"], line["level"], line["logger"]) == ("job a: running", "info", "service.workers")
    assert line["time"].endswith("+00:00")
