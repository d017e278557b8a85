"""How status puts its facts into words: short enough for 80 columns, whole sentences where there is room."""

from __future__ import annotations

from datetime import datetime

from flows.standing import Facts
from flows.terminal import bar, cell, figure
from lib import stage_paths
from lib.comparison import METRICS
from lib.decided import figures

BAR = 20

LINE = 80
"""Columns of a line that is cut where it would be longer."""


def row(facts: Facts) -> dict[str, str]:
    """A campaign in the table of all."""
    best = facts.get("champion")
    first = next((metric for metric in METRICS if metric in facts.get("figures", {})), None)
    return {
        "campaign": facts["campaign"],
        "state": facts["state"],
        "round": _round_of(facts).removeprefix("round "),
        "champion": "" if not best else f"round {best['round']}" if best["round"] else "base",
        "last figure": "" if first is None else f"{spoken(first)} {figure(facts['figures'][first])}",
    }


def summary(facts: Facts) -> list[str]:
    """A campaign by itself, in lines."""
    if facts["state"] == "unreadable":
        return [f"{facts['campaign']}: {facts['reason']}"]
    where = f", {_round_of(facts)}" if facts["rounds"] is not None else ""
    lines = [
        f"{facts['campaign']} ({facts['recipe']}): {facts['state']}{where}" if facts["recipe"] else f"{facts['campaign']}: {facts['state']}"
    ]
    lines += [f"  {line}" for line in reason(facts, named=False)]
    if best := facts["champion"]:
        made = f"of round {best['round']}" if best["round"] else "is the base model"
        lines.append(f"  champion {made}, model {best['model'][:12]}")
    if facts["figures"]:
        values = "  ".join(f"{spoken(name)} {figure(facts['figures'][name])}" for name in METRICS if name in facts["figures"])
        rejected = " (rejected)" if facts["figures_decision"] == "rejected" else ""
        lines.append(f"  {_model_of(facts['figures_of_round'])}{rejected} on validation: {values}")
    lines += [f"  {alarm['level']} {alarm['alarm']}: {alarm['sentence']}" for alarm in facts["alarms"]]
    lines += [f"  {line}" for line in cut_short(facts)]
    if facts["state"] == "idle":
        lines.append(f"  {_onward(facts)}")
    return lines


def cut_short(facts: Facts) -> list[str]:
    """Reruns that were interrupted, and how to go on with each."""
    return [
        f"a rerun of round {rerun['round']} was cut short, and the round stands as it was; the same command goes on with it: "
        + " ".join(["roundhouse rerun", facts["campaign"], f"--round {rerun['round']}", *_changed(rerun["overrides"])])
        for rerun in facts["cut_short"]
    ]


def _changed(overrides: dict[str, str]) -> list[str]:
    return [f"--set {path}={value}" for path, value in overrides.items()] or ["--from STAGE"]


def reason(facts: Facts, named: bool = True) -> list[str]:
    """Why a campaign does nothing, and what to do about it; nothing where there is no more to say than its state."""
    if not facts.get("reason"):
        return []
    who = f"{facts['campaign']} {facts['state']}: " if named else ""
    if facts["state"] == "unreadable":
        return [f"{facts['campaign']}: {facts['reason']}"]
    again = "the same command begins it" if facts["state"].startswith("beginning") else _onward(facts)
    return [f"{who}{facts['reason']}", f"  {again}"]


def _onward(facts: Facts) -> str:
    """The command that goes on; beyond the last round that was asked for, it has to say how far."""
    if facts.get("comparison"):
        return f"go on with: roundhouse compare --name {facts['comparison']}"
    done, goal = facts["rounds_done"], facts["rounds"]
    further = f" --rounds {done + 1}" if done > goal or not goal or (done == goal and facts["closed"]) else ""
    return f"go on with: roundhouse improve {facts['campaign']}{further}"


def comparison(facts: Facts) -> str:
    """A comparison in a line."""
    if "reason" in facts:
        return f"comparison {facts['comparison']}: {facts['reason']}"
    whole = len(facts["campaigns"])
    done = f"{facts['closed']} of {whole} campaigns closed"
    if facts["holder"]:
        return f"comparison {facts['comparison']}: running, {done} (process {facts['holder']['pid']} on {facts['holder']['host']})"
    if facts["closed"] == whole and facts["page"]:
        return f"comparison {facts['comparison']}: complete; its page is {facts['page']}"
    return f"comparison {facts['comparison']}: {done}; go on with: roundhouse compare --name {facts['comparison']}"


def decided(decision: Facts) -> str:
    """What a controller decided in a line, as far as there is room: settings and problems before its state."""
    again = f" attempt {decision['attempt']}" if decision["attempt"] > 1 else ""
    words = ", ".join(f"{name} {value}" for name, value in figures(decision).items()) or "nothing"
    said = "what it decided cannot be read" if decision["settings"] is None else words
    line = cell(f"round {decision['round']}{again} {decision['controller']}: {said}")
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def spending(facts: Facts) -> list[str]:
    """What a campaign has spent in all its runs, and what its rounds reused of others."""
    reused = facts["reused"]["device_seconds"] or facts["reused"]["tokens"]
    return [f"  spent: {_cost(facts['spent'])}" + (f"; reused: {_cost(facts['reused'])}" if reused else "")] if facts["history"] else []


def _cost(told: Facts) -> str:
    return f"{told['tokens']:,} tokens, {told['device_seconds']:,.0f} device-seconds"


def at_work(facts: Facts) -> list[str]:
    """What runs, how far, how long still, and what comes next."""
    if not facts.get("holder"):
        return []
    who = f"process {facts['holder']['pid']} on {facts['holder']['host']}"
    now = facts["now"]
    if now is None:
        return [f"{facts['campaign']} starts ({who})"]
    lines = [f"{facts['campaign']}: {doing(facts)} ({who})", f"  {bar(now['share'], BAR)} {now['share']:4.0%}   {_times(now)}"]
    if coming := ", ".join(_coming(step) for step in facts["next"]):
        lines.append(f"  next: {coming}")
    return lines


def doing(facts: Facts) -> str:
    """What a run is at."""
    return stage(facts) + shards(facts)


def stage(facts: Facts) -> str:
    """The stage that a run is at."""
    now = facts["now"]
    phase, _, name = now["stage"].partition("/")
    part = f" ({now['part']})" if now["part"] else ""
    if phase == "problems":
        trained = "the base model" if facts["rounds"] is None else f"round {now['round']}"
        return f"draws problems for {trained if name == 'train' else name}"
    if facts["rounds"] is None:
        return f"makes its base model: {now['stage']}{part}"
    if now["stage"] == stage_paths.CLOSING:
        return f"tests {_model_of(now['round'])}: {now['stage']}{part}"
    if now["round"] == 0:
        return f"base model: {now['stage']}{part}"
    again = f", attempt {now['attempt']}" if now["attempt"] > 1 else ""
    return f"round {now['round']}{again}: {now['stage']}{part}"


def briefly(facts: Facts) -> str:
    """The same where there is little room."""
    now = facts["now"]
    reused = " reused" if now["reused"] and not now["begun"] else ""
    return (f" {now['shard']}/{now['shards']}" if now["shards"] > 1 else "") + reused


def shards(facts: Facts) -> str:
    """Which of the stage's shards, and what of them was reused."""
    now = facts["now"]
    reused = "" if not now["reused"] else ", reused" if not now["begun"] else f", {now['reused']} of them reused"
    return (f", shard {now['shard']} of {now['shards']}" if now["shards"] > 1 else "") + reused


def left(facts: Facts) -> str:
    """How long the stage still takes, where that is known."""
    seconds = facts["now"]["stage_seconds_left"]
    return "" if seconds is None or facts["now"]["share"] >= 1 else f"about {clock(seconds)} left"


def scheduled(run: Facts, now: float) -> str:
    """A scheduled run in a line."""
    when = datetime.fromtimestamp(run["at"])
    away = run["at"] - now
    late = " (late)" if run["state"] == "Late" else ""
    return f"scheduled: {run['deployment']} at {when:%d %b %H:%M:%S}, {f'in {clock(away)}' if away > 0 else 'due'}{late}"


def clock(seconds: float) -> str:
    """0:07, 12:34, 1:02:03."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def spoken(metric: str) -> str:
    """`pass_at_1` as people write it."""
    return metric.replace("_at_", "@").removesuffix("_accuracy")


def _round_of(facts: Facts) -> str:
    if facts.get("rounds") is None:
        return ""
    now = facts["now"]
    number = max(now["round"] if now and not now["stage"].startswith("problems/") else 0, facts["rounds_done"])
    return f"round {number} of {facts['rounds']}" if number <= facts["rounds"] else f"round {number}"


def _model_of(number: int) -> str:
    return f"round {number}'s model" if number else "the base model"


def _times(now: Facts) -> str:
    words = f"{clock(now['elapsed_seconds'])} so far"
    if now["stage_seconds_left"] is not None:
        words += f", about {clock(now['stage_seconds_left'])} left"
    if now["round_seconds_left"] is not None:
        words += f", {clock(now['round_seconds_left'])} of the round"
    return words


def _coming(step: Facts) -> str:
    if "round" in step:
        return f"then round {step['round']}"
    closing = "then " if step["stage"] == stage_paths.CLOSING else ""
    return closing + step["stage"] + (f" (about {clock(step['about_seconds'])})" if step["about_seconds"] is not None else "")
