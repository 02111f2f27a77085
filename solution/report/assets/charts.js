// Charts: options for Apache ECharts. `figure` makes an empty box, `mount` draws all boxes on the page.
const charts = (() => {
  const { h, t, user, shortName, fixed, short } = dom;
  let pending = [], mounted = [];

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const tint = (kind) => color(kind === "tuned" ? "tuned" : "accent");

  function figure(title, option, { small = false, caption = null } = {}) {
    const box = h("div", { class: "chart", role: "img", "aria-label": title });
    pending.push([box, option, small]);
    return h("figure", { class: small ? "small" : "" }, h("figcaption", {}, caption ?? title), box);
  }

  const axis = (small, own = {}) => ({
    type: "value", nameLocation: "middle", nameGap: 24, splitNumber: small ? 2 : 4, ...own,
    axisLine: { show: own.name !== undefined, onZero: false, lineStyle: { color: color("quiet") } },
    axisTick: { show: false },
    axisLabel: { color: color("quiet"), fontSize: small ? 10 : 11, hideOverlap: true, showMinLabel: small, showMaxLabel: small, ...own.axisLabel },
    nameTextStyle: { color: color("quiet"), fontSize: 11 },
    splitLine: { show: own.name === undefined, lineStyle: { color: color("rule") } },
  });

  function mount() {
    mounted = mounted.filter((chart) => document.contains(chart.getDom()) || chart.dispose());
    for (const [box, option, small] of pending.splice(0)) {
      const chart = echarts.init(box, null, { renderer: "svg" });
      const { x, y, ...rest } = option();
      chart.setOption({
        animation: false,
        textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
        grid: { left: 6, right: 12, top: 14, bottom: 6, outerBoundsMode: "same" },
        tooltip: { confine: true, formatter: ({ data }) => h("span", {}, data.hint ?? "") },
        xAxis: axis(small, x), yAxis: axis(small, { axisLabel: { formatter: asTick }, ...y }), ...rest,
      });
      mounted.push(chart);
    }
  }
  addEventListener("resize", () => mounted.forEach((chart) => chart.resize()));

  // Ticks at 1, 2 and 5 times powers of ten, fewer of them on a wide axis.
  const logTicks = (low, high) => Array.from({ length: 13 }, (_, i) => i - 2).flatMap((power) =>
    (high / low > 200 ? [1] : high / low > 20 ? [1, 3] : [1, 2, 5]).map((factor) => factor * 10 ** power));
  const asTick = (value) => String(Number(value.toFixed(2)));
  const span = (values, least = 0) => {
    const low = Math.min(...values), high = Math.max(...values), pad = Math.max((high - low) * 0.08, least);
    return { min: Math.max(0, low - pad), max: Math.min(1, high + pad) };
  };
  const line = (data, style = {}, more = {}) =>
    ({ type: "line", data, symbol: "none", silent: true, lineStyle: { color: color("accent"), width: 1.6, ...style }, ...more });
  const dashed = () => ({ color: color("quiet"), type: "dashed", width: 1 });

  // Models as marks with names. A name is on the side with more room; those that overlap are hidden.
  function marks(rows, middle) {
    return {
      type: "scatter",
      z: 3,
      data: rows.map((row) => ({
        value: [row.x, row.y], name: shortName(row.name, 22), hint: row.hint,
        symbol: row.kind === "tuned" ? "diamond" : "circle", symbolSize: row.kind === "tuned" ? 12 : 9,
        itemStyle: { color: tint(row.kind) },
        label: { position: row.x > middle ? "left" : "right" },
      })),
      label: { show: true, formatter: "{b}", color: color("ink"), fontSize: 11, lineHeight: 17 },
      labelLine: { show: true, lineStyle: { color: color("quiet"), width: 0.6 } },
      labelLayout: ({ labelRect: { x, y } }) => ({ x, y, align: "left", verticalAlign: "top", moveOverlap: "shiftY", hideOverlap: true }),
    };
  }

  function accuracyAgainst(board, field, limit) {
    const models = board.models.filter((m) => m[field] > 0 && m.accuracy !== undefined);
    if (models.length === 0) return null;
    const chance = board.baselines.find((b) => b.name.startsWith("random"))?.accuracy;
    const xs = [...models.map((m) => m[field]), ...(limit ? [limit] : [])];
    const [low, high] = [Math.min(...xs) / 1.6, Math.max(...xs) * 1.6];
    return figure(t(`against_${field}`), () => ({
      x: { type: "log", name: t(`axis_${field}`), min: low, max: high, axisLabel: { formatter: short, customValues: logTicks(low, high), showMinLabel: true, showMaxLabel: true } },
      y: span([...models.flatMap((m) => [m.ci_low, m.ci_high]), ...(chance ? [chance] : [])], 0.02),
      series: [
        ...models.map((m) => line([[m[field], m.ci_low], [m[field], m.ci_high]], { color: tint(m.kind), opacity: 0.6 })),
        chance ? line([[low, chance], [high, chance]], dashed()) : null,
        limit ? line([[limit, 0], [limit, 1]], { color: color("bad"), width: 1.2 }) : null,
        marks(models.map((m) => ({ x: m[field], y: m.accuracy, name: m.name, kind: m.kind,
          hint: `${dom.cut(m.name, 60)}: ${fixed(m.accuracy)} (${fixed(m.ci_low, 3)}–${fixed(m.ci_high, 3)}), ${short(m[field])}` })),
        Math.sqrt(low * high)),
      ].filter(Boolean),
    }));
  }

  function publicPrivate(board) {
    const models = board.models.filter((m) => m.public !== undefined && m.private !== undefined);
    if (models.length === 0) return null;
    const sizes = [0, 1].map((half) => board.questions.filter((q) => q[8] === half).length);
    const { min, max } = span(models.flatMap((m) => [m.public, m.private]), 0.06);
    const reach = (p) => 1.96 * Math.sqrt(p * (1 - p) * (1 / sizes[0] + 1 / sizes[1]));
    const steps = Array.from({ length: 41 }, (_, i) => min + ((max - min) * i) / 40);
    const bound = (sign) => line(steps.map((p) => [p, p + sign * reach(p)]), { ...dashed(), type: "dotted" });
    return figure(t("against_halves"), () => ({
      x: { name: t("axis_public"), min, max, axisLabel: { formatter: asTick } },
      y: { min, max, axisLabel: { formatter: asTick } },
      series: [bound(1), bound(-1), line([[min, min], [max, max]], dashed()),
        marks(models.map((m) => ({ x: m.public, y: m.private, name: m.name, kind: m.kind,
          hint: `${dom.cut(m.name, 60)}: ${fixed(m.public)} / ${fixed(m.private)}` })), (min + max) / 2)],
    }));
  }

  const caption = (model, extra) => [user(shortName(model.name, 22)), extra ? h("span", { class: "note" }, extra) : null];

  function calibration(model) {
    const rows = model.calibration.filter(([count]) => count > 0), most = Math.max(...rows.map(([count]) => count));
    return figure(`${t("calibration")}: ${shortName(model.name)}`, () => ({
      x: { min: 0, max: 1, axisLabel: { formatter: asTick } }, y: { min: 0, max: 1 },
      series: [line([[0, 0], [1, 1]], dashed()), line(rows.map((r) => [r[1], r[2]]), { color: tint(model.kind) }),
        { type: "scatter", itemStyle: { color: tint(model.kind) }, data: rows.map(([count, confidence, accuracy]) => ({
          value: [confidence, accuracy], symbolSize: 4 + 8 * Math.sqrt(count / most),
          hint: `${fixed(confidence, 3)} → ${fixed(accuracy, 3)} (${count})` })) }],
    }), { small: true, caption: caption(model, t("error", fixed(model.ece, 3))) });
  }

  function positions(model, key) {
    const counts = Array.from({ length: Math.max(model.positions.length, key.length) }, (_, i) => i);
    const bars = (values, style) => ({ type: "bar", barWidth: "65%", barGap: "-100%", itemStyle: style,
      data: counts.map((i) => ({ value: values[i] ?? 0, hint: `${i + 1}: ${values[i] ?? 0}` })) });
    return figure(`${t("positions")}: ${shortName(model.name)}`, () => ({
      x: { type: "category", data: counts.map((i) => String(i + 1)) }, y: { axisLabel: { formatter: String } },
      series: [bars(model.positions, { color: tint(model.kind) }),
        bars(key, { color: "transparent", borderColor: color("ink"), borderWidth: 1 })],
    }), { small: true, caption: caption(model) });
  }

  // Single steps are noisy: the line is the running mean over a twentieth of them.
  function loss(tuning) {
    const rows = tuning.loss.map(([step, value]) => [step, Math.max(value, 1e-6)]), reach = Math.max(1, Math.round(rows.length / 40));
    const smooth = rows.map(([step], i) => {
      const near = rows.slice(Math.max(0, i - reach), i + reach + 1);
      return [step, near.reduce((sum, [, value]) => sum + value, 0) / near.length];
    });
    const values = rows.map(([, value]) => value);
    return figure(t("loss"), () => ({
      x: { name: t("axis_step"), max: rows.at(-1)[0] },
      y: { type: "log", min: Math.min(...values) / 1.1, max: Math.max(...values) * 1.1, axisLabel: { formatter: (v) => String(Number(v.toPrecision(2))), customValues: logTicks(Math.min(...values), Math.max(...values)) } },
      series: [line(rows, { width: 1, opacity: 0.3 }), line(smooth)],
    }));
  }

  function validation(tuning) {
    const before = tuning.before.validation ?? null;
    const rows = before === null ? tuning.validation : [[0, before], ...tuning.validation];
    const best = tuning.validation.find(([step]) => step === tuning.best_step);
    return figure(t("validation_curve", fixed(best?.[1])), () => ({
      x: { name: t("axis_step"), max: rows.at(-1)[0] }, y: span(rows.map(([, value]) => value), 0.01),
      series: [line(rows), { type: "scatter", data: rows.map(([step, value]) => ({
        value: [step, value], hint: `${step}: ${fixed(value)}`,
        symbol: step === best?.[0] ? "diamond" : "circle", symbolSize: step === best?.[0] ? 13 : 6,
        itemStyle: { color: step === best?.[0] ? color("tuned") : color("accent") } })) }],
    }));
  }

  return { mount, accuracyAgainst, publicPrivate, calibration, positions, loss, validation };
})();
