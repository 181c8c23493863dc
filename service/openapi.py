"""The OpenAPI document: what FastAPI derives from the routes, with the job spec and the problems added."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.problems import Problem
from tuner.spec import JobSpec

SPEC_EXAMPLE: Final[dict[str, Any]] = {
    "name": "chat-llama-8b",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "engine": "tensorrt-llm",
    "hardware": {"gpu": "h100_sxm", "gpus": 8},
    "workload": {"input_tokens": 1024, "output_tokens": 256, "concurrency": "auto"},
    "objectives": ["cost", "energy", "tpot"],
    "constraints": {"ttft_p95_ms": 500, "tpot_p95_ms": 25},
}

_SPEC: Final = {"schema": {"$ref": "#/components/schemas/JobSpec"}, "example": SPEC_EXAMPLE}

SPEC_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "What to tune, as JSON or YAML",
    "content": {"application/json": _SPEC, "application/yaml": _SPEC},
}


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The function that FastAPI asks for its OpenAPI document."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            built = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
            )
            schemas = built.setdefault("components", {}).setdefault("schemas", {})
            for model in (JobSpec, Problem):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
            _drop_default_validation(built)
            schemas["JobView"]["properties"]["spec"] = {"$ref": "#/components/schemas/JobSpec"}
            app.openapi_schema = built
        return app.openapi_schema

    return build


def _drop_default_validation(built: dict[str, Any]) -> None:
    """Removes FastAPI's own 422, which it adds to every route with a path parameter and paretune never answers."""
    for item in built["paths"].values():
        for operation in item.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        built["components"]["schemas"].pop(name, None)
