"""The rights that `preflight` asks for on behalf of the programs are those of the chart's roles."""

from __future__ import annotations

import re

import pytest
import yaml

from bellmetal.preflight.rights import CONTROLLER, SPEAKER, USER_WANTS, granting
from bellmetal.preflight.seen import Want
from lab.paths import CHART

ROLES = (CHART / "templates" / "rbac.yaml").read_text()


def rules(name: str, program: str, namespaced: bool) -> set[Want]:
    """Those of a block of the template, which is plain YAML but for one inclusion."""
    block = _block(name).replace('{{ include "bellmetal.stateRules" . }}', _block("stateRules"))
    return {
        Want(program, verb, group, resource, namespaced, instance)
        for rule in yaml.safe_load(block)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for instance in rule.get("resourceNames", [""])
    }


def _block(name: str) -> str:
    """What is there by default: rules under an ``if`` are for what is switched on."""
    found = re.search(rf'define "bellmetal\.{name}" -}}}}\n(.*?)(?={{{{- define|\Z)', ROLES, re.S)
    assert found, f"the chart's roles have no {name}"
    always = re.sub(r"{{- if .*?{{- end }}\n", "", found[1], flags=re.S)
    return always.rpartition("\n{{- end }}")[0]


@pytest.mark.parametrize("program", ["controller", "speaker"])
def test_they_are_those_of_the_chart(program: str) -> None:
    wants = {"controller": CONTROLLER, "speaker": SPEAKER}[program]
    whole = rules(f"{program}ClusterRules", program, False)
    assert set(wants) == whole | rules(f"{program}Rules", program, True)


def test_what_is_asked_for_is_asked_for_once() -> None:
    for wants in (CONTROLLER, SPEAKER, USER_WANTS):
        assert len(set(wants)) == len(wants)


def test_a_serviceaccount_is_granted_a_right_by_its_own_flag() -> None:
    said = granting("system:serviceaccount:ci:deploy", "move", "", [("patch", "services")])
    assert said.endswith(" --serviceaccount=ci:deploy")


def test_who_is_not_known_is_to_be_filled_in() -> None:
    assert granting("", "move", "", [("patch", "services")]).endswith(" --user=NAME")
