"""From a recipe's name to an unfitted estimator that is seeded, on its share of threads, and safe to cache."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.errors import SettingsError, did_you_mean
from pytest_nbaprops.recipes.parameters import plain_parameters, refuse_bad_values, refuse_unknown, seeded, with_imputer

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SHOWN = 100

RECIPE_OPTION = "--nbaprops-recipe"
PARAM_OPTION = "--nbaprops-param"
BUILT_IN = ("advanced", "two_stage", "enhanced", "baseline")
DEFAULT_FEATURES = "all"
NEEDED = ("fit", "predict", "get_params", "set_params")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An unfitted scikit-learn style regressor and what it is known by.

    `features` is the selection of feature groups it uses by default, `import_path` says `module:Class` of what the
    recipe stands for (without the imputer that may have been put in front), `code_digest` covers project classes.
    `made_in` is the module that its name was looked up in: this package, that of an import path, or a hook's name.
    """

    name: str
    features: str
    estimator: Any
    import_path: str
    code_digest: str
    made_in: str

    def identity(self) -> dict[str, Any]:
        """What decides a fit, as exact builtins: import path, parameters but threads, digest of the code."""
        return {
            "import_path": self.import_path,
            "parameters": plain_parameters(self.estimator),
            "code_digest": self.code_digest,
        }


def resolve_recipe(
    name: str,
    *,
    registered: Mapping[str, Any] | None = None,
    params: Mapping[str, object] | None = None,
    seed: int,
    threads: int,
) -> Recipe:
    """Look up a recipe: a name of a hook, one of `BUILT_IN`, or an import path `module:Class`.

    The estimator is a copy with `params` set, the seed where it left `random_state` open, `threads` as its `n_jobs`,
    and an imputer in front if it does not take missing values. Raises SettingsError naming option, value, what is
    allowed and the way out.
    """
    found = _checked(name, _found(name, registered or {}))
    features = _module(name).FEATURES if _is_built_in(name, registered or {}) else DEFAULT_FEATURES
    estimator = _copy(name, found)
    _set_params(name, estimator, params or {})
    refuse_bad_values(f"{PARAM_OPTION} (recipe {name!r})", estimator)
    return Recipe(
        name=name,
        features=features,
        estimator=with_imputer(seeded(estimator, seed=seed, threads=threads)),
        import_path=f"{type(found).__module__}:{type(found).__qualname__}",
        code_digest=code_digest(type(found)),
        made_in=_made_in(name, registered or {}),
    )


def parse_param(text: str) -> tuple[str, object]:
    """`max_depth=4` -> ("max_depth", 4); numbers, True, False and None are read, all else is text.

    Raises SettingsError when there is no name before the first equals sign.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier() or not value:
        raise SettingsError(f"{PARAM_OPTION} {text!r} is no name=value; write for example max_depth=4")
    return name, _literal(value)


def _literal(text: str) -> object:
    named = {"none": None, "true": True, "false": False}
    if text.lower() in named:
        return named[text.lower()]
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, int | float | str) else text


def _found(name: str, registered: Mapping[str, Any]) -> Any:
    if name in registered:
        return registered[name]
    if _is_built_in(name, registered):
        return getattr(_module(name), name)()
    refuse_unknown_name(name, registered)
    return _imported(name)


def refuse_unknown_name(name: str, registered: Mapping[str, Any]) -> None:
    """SettingsError, with what was meant, for a name that is no recipe's; an import path is looked up when it is used.

    Imports nothing, so that a name can be refused that nobody will use.
    """
    known = sorted({*BUILT_IN, *registered})
    if name in known or ":" in name:
        return
    raise SettingsError(
        f"{RECIPE_OPTION} {name!r} is unknown{did_you_mean(name, known)}; use {', '.join(known)}, "
        "or an import path such as sklearn.linear_model:Ridge"
    )


def _made_in(name: str, registered: Mapping[str, Any]) -> str:
    if name in registered:
        return "pytest_nbaprops_recipes"
    return __name__ if _is_built_in(name, registered) else name.partition(":")[0]


def _is_built_in(name: str, registered: Mapping[str, Any]) -> bool:
    return name in BUILT_IN and name not in registered


def _module(name: str) -> Any:
    """The module of a built-in recipe, which has a function of its name; imported late, since most bring much along."""
    return importlib.import_module(f"pytest_nbaprops.recipes.{name}")


def _imported(path: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        text = " ".join(str(problem).split())
        raise SettingsError(
            f"{RECIPE_OPTION} {path!r}: module {module_name!r} cannot be imported ({type(problem).__name__}: {text}); "
            "check the spelling and that it is installed or on the path (python -m pytest adds the working directory)"
        ) from problem
    if not attribute.isidentifier() or not hasattr(module, attribute):
        hint = did_you_mean(attribute, dir(module))
        raise SettingsError(
            f"{RECIPE_OPTION} {path!r}: module {module_name!r} has no {attribute!r}{hint}; name a regressor class in it"
        )
    return _made(path, getattr(module, attribute))


def _made(path: str, found: Any) -> Any:
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as problem:
        text = " ".join(str(problem).split())
        raise SettingsError(
            f"{RECIPE_OPTION} {path!r}: the class cannot be made without arguments ({text}); "
            "register an instance of it with pytest_nbaprops_recipes"
        ) from problem


def _checked(name: str, estimator: Any) -> Any:
    # Of a stack scikit-learn shows predict() only once it is fitted.
    places = (estimator, type(estimator))
    missing = [name for name in NEEDED if not any(callable(getattr(place, name, None)) for place in places)]
    if isinstance(estimator, type) or missing:
        problem = "is a class, not an instance" if isinstance(estimator, type) else f"has no {missing[0]}()"
        raise SettingsError(
            f"{RECIPE_OPTION} {name!r}: {_shown(estimator)} {problem}; "
            "use an unfitted scikit-learn style regressor with fit, predict, get_params and set_params"
        )
    if _is_classifier(estimator):
        raise SettingsError(
            f"{RECIPE_OPTION} {name!r}: {type(estimator).__name__} is a classifier; use a regressor such as "
            "sklearn.linear_model:Ridge"
        )
    return estimator


def _shown(estimator: Any) -> str:
    text = " ".join(repr(estimator).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier  # noqa: PLC0415 - scikit-learn is slow to import

    try:
        return bool(is_classifier(estimator))
    except (AttributeError, TypeError):  # scikit-learn style without scikit-learn's tags
        return False


def _copy(name: str, estimator: Any) -> Any:
    from sklearn.base import clone  # noqa: PLC0415 - scikit-learn is slow to import

    try:
        return clone(estimator)
    except Exception as problem:
        text = " ".join(str(problem).split())
        raise SettingsError(
            f"{RECIPE_OPTION} {name!r}: {type(estimator).__name__} cannot be cloned ({text}); "
            "its __init__ must store its arguments unchanged, as scikit-learn asks"
        ) from problem


def _set_params(name: str, estimator: Any, params: Mapping[str, object]) -> None:
    allowed = estimator.get_params(deep=True)
    for key, value in params.items():
        refuse_unknown(f"{PARAM_OPTION} {key}={value}", name, key, allowed)
    if params:
        estimator.set_params(**params)
