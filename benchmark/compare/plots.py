"""Draws the results as SVG with gnuplot: bars, one cluster for each case."""
import subprocess

from compare.tables import LATENCY_FIELDS


def bars(path, title, y_label, columns, rows, has_log_scale=False):
    """rows: (label, values); a value may be None."""
    lines = [f"set terminal svg size {max(900, 60 * len(rows) + 300)},600 background 'white' noenhanced",
             f"set output '{path}'", f"set title '{title}'", f"set ylabel '{y_label}'",
             "set style data histograms", "set style histogram clustered gap 1", "set style fill solid 0.8 border -1",
             "set boxwidth 0.9", "set xtics rotate by -45 nomirror", "set grid ytics", "set key outside right",
             "set logscale y" if has_log_scale else "set yrange [0:*]", "$data << END"]
    for label, values in rows:
        cells = ["?" if value is None else f"{value:.6g}" for value in values]
        lines.append(" ".join([f'"{label}"'] + cells))
    lines.append("END")
    lines.append("set datafile missing '?'")
    parts = [f"$data using {index + 2}:xtic(1) title '{column}'" for index, column in enumerate(columns)]
    lines.append("plot " + ", ".join(parts))
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True)


def draw_throughput(folder, results):
    contenders = [name for name in results.contenders() if name != "floor"]
    for index, group in enumerate(dict.fromkeys(group for group, _ in results.cases())):
        rows = [(case[1], [results.ratio(case, name, "floor") for name in contenders])
                for case in results.cases() if case[0] == group]
        bars(f"{folder}/throughput-{index + 1}.svg", f"Operations a second, {group}", "ratio to the floor", contenders, rows)


def draw_latency(folder, results):
    case = results.cases()[0]
    contenders = results.contenders()
    rows = [(field.removesuffix("_us"), [results.median(case, name, field) for name in contenders])
            for field in LATENCY_FIELDS]
    bars(f"{folder}/latency.svg", f"Latency, {case[1]}", "us from when the request was due", contenders, rows, True)


def draw_memory(folder, memory):
    bars(f"{folder}/memory.svg", "Memory of 16-byte keys with 32-byte values", "bytes a key", ["bytes a key"],
         [(name, [per_key]) for name, per_key in memory.items()])
