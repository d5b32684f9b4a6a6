"""Turns samples into tables: medians, ratios, and CSV files.

A ratio is taken in each round between the two figures of that round; the median of these is shown.
"""
import csv
import statistics


def short(number):
    """1234567 -> 1.23M"""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}" if number < 999.5 * limit else f"{number / limit:.0f}{unit}"
    return f"{number:.0f}"


class Results:
    def __init__(self, samples):
        self.samples = samples
        self.by_cell = {}
        for sample in samples:
            self.by_cell.setdefault((sample.group, sample.case, sample.contender), []).append(sample)

    def cases(self):
        return list(dict.fromkeys((sample.group, sample.case) for sample in self.samples))

    def contenders(self):
        return list(dict.fromkeys(sample.contender for sample in self.samples))

    def median(self, case, contender, field="ops_per_s"):
        cell = self.by_cell.get((*case, contender))
        return statistics.median(sample.number(field) for sample in cell) if cell else None

    def ratio(self, case, contender, base, field="ops_per_s"):
        """Median of the rounds' ratios; None when either was not measured."""
        over = {sample.round: sample.number(field) for sample in self.by_cell.get((*case, contender), [])}
        under = {sample.round: sample.number(field) for sample in self.by_cell.get((*case, base), [])}
        ratios = [over[turn] / under[turn] for turn in over if under.get(turn)]
        return statistics.median(ratios) if ratios else None

    def is_client_bound(self, case, contender):
        return (self.median(case, contender, "client_cpu_share") or 0) >= 0.95

    def write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            fields = list(self.samples[0].figures)
            writer.writerow(["group", "case", "contender", "round"] + fields)
            for sample in self.samples:
                writer.writerow([sample.group, sample.case, sample.contender, sample.round] +
                                [sample.figures[name] for name in fields])


def print_grid(header, rows):
    widths = [max(len(row[column]) for row in [header] + rows) for column in range(len(header))]
    for row in [header] + rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)


def ratio_columns(contenders):
    """(contender, base) for each of memento's columns against the floor and every peer."""
    ours = [name for name in contenders if name.startswith("memento")]
    return [(name, base) for base in contenders if base not in ours for name in ours]


def print_throughput(results):
    contenders = results.contenders()
    ratios = ratio_columns(contenders)
    header = ["case"] + [f"{name} op/s" for name in contenders] + [f"{name}/{base}" for name, base in ratios]
    rows = []
    last_group = None
    for case in results.cases():
        if case[0] != last_group:
            last_group = case[0]
            rows.append([last_group] + [""] * (len(header) - 1))
        row = ["  " + case[1]]
        for name in contenders:
            mark = "*" if results.is_client_bound(case, name) else " "
            row.append(short(results.median(case, name)) + mark)
        for name, base in ratios:
            ratio = results.ratio(case, name, base)
            row.append("-" if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    print_grid(header, rows)
    print("* the client used its core up: the figure is its limit, and a ratio to it flatters")


def print_cpu(results):
    """The server's CPU time; its ratios are costs, so that less is better."""
    field = "server_cpu_ns_per_op"
    contenders = results.contenders()
    ratios = ratio_columns(contenders)
    rows = []
    for case in results.cases():
        row = [f"{case[0]}: {case[1]}"] + [f"{results.median(case, name, field):.0f}" for name in contenders]
        for name, base in ratios:
            ratio = results.ratio(case, name, base, field)
            row.append("-" if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    print_grid(["server's CPU, ns an operation"] + contenders + [f"{name}/{base}" for name, base in ratios], rows)


LATENCY_FIELDS = ("p50_us", "p99_us", "p99.9_us", "max_us")


def print_latency(results):
    case = results.cases()[0]
    rows = []
    for name in results.contenders():
        row = [name] + [f"{results.median(case, name, field):.1f}" for field in LATENCY_FIELDS]
        ratio = results.ratio(case, name, "floor", "p99.9_us")
        rows.append(row + [f"{ratio:.2f}", f"{results.median(case, name, 'ops_per_s'):.0f}"])
    print_grid([case[1] + ", us from when due"] + list(LATENCY_FIELDS) + ["p99.9/floor", "op/s"], rows)


def write_memory_csv(path, memory, keys):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["server", "keys", "bytes_per_key"])
        for name, per_key in memory.items():
            writer.writerow([name, keys, f"{per_key:.2f}"])
