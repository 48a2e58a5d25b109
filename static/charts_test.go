package static_test

import "testing"

// A series of a server's answer, and what is made of it.
const curves = `
	globalThis.document = { addEventListener() {} };
	const { curveOf, gapOf, extent, range, nearest, bounds } = await import("./js/charts/curve.js");
	const { readView, writeView, layoutOf, smoothingAt, notchOf, askedRange, shifted } = await import("./js/charts/view.js");
	const { shapesOf } = await import("./js/charts/shapes.js");
	const { placesOf, wordsOf } = await import("./js/charts/marks.js");
	const { spotAt, valueText, exactText, placeText, lastSpot } = await import("./js/charts/readout.js");
	const { seriesURL } = await import("./js/charts/load.js");
	const { logSplits, span } = await import("./js/charts/axes.js");
	const { csv } = await import("./js/charts/export.js");
	const series = (more) => ({ metric: "loss", worker: -1, width: 1, points: more.step.length, ...more });
	const curve = (more, look) => curveOf(series(more), { name: "loss", slot: 0, ...look });
	const steps = Array.from({ length: 10 }, (_, i) => i);
	const x = (size, min, max) => ({ log: false, min, max, size });
	const plain = { smoothed: false, power: 0 };
	const shapes = (c, how = plain) => shapesOf(c, x(100, 0, 10), { ...x(50, 0, 5), flip: true }, how);
	const flat = (v) => JSON.parse(JSON.stringify(v, (_, n) => (typeof n === "number" ? Math.round(n * 1e6) / 1e6 : n)));
	const search = (view) => { const p = new URLSearchParams("q=grad"); writeView({ ...readView(p), ...view }, p); return p.toString(); };
`

func TestCurvesAreReadFromAnAnswer(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`curve({ step: [1, 2], value: [3, null], odd: [[1, "NaN"], [1, "Infinity"]] }).odd.get(1)`: `"NaN, Infinity"`,
		`curve({ step: [1000, 2000], value: [1, 2], clock: true }, { seconds: true }).x`:           `[1,2]`,
		`curve({ step: [1, 2, 3], x: [5, 4, 6], value: [1, 2, 3] }).ascending`:                     `false`,
		`curve({ step: [1, 2], x: [null, 7], value: [1, 2] }).x.map(Number.isNaN)`:                 `[true,false]`,
		`extent([curve({ step: [3, 9], value: [1, 1] }), curve({ step: [1], value: [1] })])`:       `[1,9]`,
		`extent([])`: `null`,
		`bounds(curve({ step: [1], value: [2], min: [1], max: [3] }), 0)`: `[1,3]`,
		`bounds(curve({ step: [1], value: [2] }), 0)`:                     `[2,2]`,
	})
}

func TestALineBreaksWhereStepsAreMissing(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`gapOf(steps, 1)`:                        `4`,
		`gapOf([0, 64, 128, 192, 256], 64)`:      `256`,
		`gapOf([1, 100], 1) === Infinity`:        `true`,
		`gapOf([0, 0.1, 0.2, 0.3, 0.4], 1)`:      `1`,
		`gapOf([0, 1000, 2000, 3000, 4000], 1)`:  `4000`,
		`gapOf([], 1) === Infinity`:              `true`,
		`gapOf([5, 5, 5, 5, 5], 1) === Infinity`: `true`,
		`shapes(curve({ step: [0, 1, 2, 3, 4, 9, 10], value: [1, 1, 1, 1, 1, 1, 1] })).filter((s) => s.kind === "line").map((s) => s.at.length)`:                                   `[10,4]`,
		`shapes(curve({ step: [0, 1, 2, 3, 4, 5, 6], x: [0, 0.1, 0.2, 0.3, 0.4, 9, 10], value: [1, 1, 1, 1, 1, 1, 1] })).filter((s) => s.kind === "line").map((s) => s.at.length)`: `[14]`,
		`shapes(curve({ step: [0, 1, 2, 3, 4, 9, 10], x: [0, 1, 2, 3, 4, 5, 6], value: [1, 1, 1, 1, 1, 1, 1] })).filter((s) => s.kind === "line").map((s) => s.at.length)`:         `[10,4]`,
		`curve({ step: [0, 1, 2, 8, 16, 24, 32], x: [1, null, null, 2, 3, 4, 5], value: [1, 1, 1, 1, 1, 1, 1] }).gap`:                                                              `32`,
		`curve({ step: [1000, 2000, 3000, 4000, 5000], width: 1000, value: [1, 1, 1, 1, 1], clock: true }, { seconds: true }).gap`:                                                 `4000`,
		`shapes(curve({ step: [0, 1, 2, 3], value: [1, 1, null, 1], odd: [[2, "NaN"]] })).map((s) => s.kind)`:                                                                      `["line","dots","crosses"]`,
	})
}

func TestASingleStepThatSticksOutIsDrawn(t *testing.T) {
	t.Parallel()
	wide := `curve({ width: 16, step: [0, 2, 4], value: [1, 1, 1], min: [1, 1, 1], max: [1, 4, 1] })`
	written(t, curves, map[string]string{
		`Math.min(...shapes(` + wide + `).filter((s) => s.kind === "line").flatMap((s) => s.at.filter((_, i) => i % 2)))`: `10`, // 50 pixels are 5
		`shapes(` + wide + `).map((s) => s.kind)`: `["area","line","line","line","dots"]`,
		`range([` + wide + `], 0, 10, {})`:        `{"low":1,"high":4,"beyond":0}`,
	})
}

func TestWhereXGoesBackEachPointHasItsOwnRange(t *testing.T) {
	t.Parallel()
	back := `shapes(curve({ step: [0, 1, 2], x: [2, 8, 4], value: [2, 3, 2], min: [1, 2, 1], max: [3, 4, 3] }))`
	written(t, curves, map[string]string{
		back + `.map((s) => s.kind)`:                       `["bars","dots"]`,
		back + `.find((s) => s.kind === "bars").at`:        `[20,20,20,40,80,10,80,30,40,20,40,40]`,
		back + `.find((s) => s.kind === "dots").at.length`: `6`,
	})
}

func TestTheAxisCoversWhatIsInSight(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`range([curve({ step: [0, 1, 2], value: [9, 1, 2] })], 1, 2, {})`:             `{"low":1,"high":2,"beyond":0}`,
		`range([curve({ step: [0, 1], value: [null, null] })], 0, 9, {})`:             `{"low":null,"high":null,"beyond":0}`,
		`range([curve({ step: [0, 1, 2], value: [-1, 0, 5] })], 0, 9, { log: true })`: `{"low":5,"high":5,"beyond":0}`,
		`range([{ ...curve({ step: [0], value: [9] }), hidden: true }], 0, 9, {})`:    `{"low":null,"high":null,"beyond":0}`,
		`range([curve({ step: Array.from({ length: 200 }, (_, i) => i), value: Array.from({ length: 200 }, (_, i) => (i === 100 ? 1e6 : 1 + i / 1000)) })], 0, 200, { clip: true }).high < 2`: `true`,
		`range([curve({ step: Array.from({ length: 200 }, (_, i) => i), value: Array.from({ length: 200 }, (_, i) => (i === 100 ? 1e6 : 1)) })], 0, 200, { clip: true }).beyond`:              `1`,
		`span(2, 2)`:        `[1.8,2.2]`,
		`span(null, null)`:  `[0,1]`,
		`flat(span(0, 10))`: `[0,10.8]`,
		`logSplits(0.5, 2000).every((v) => v >= 0.5 && v <= 2000)`: `true`,
		`logSplits(1, 9)`:                   `[1,2,3,4,5,6,7,8,9]`,
		`logSplits(1e-6, 1e6).length <= 10`: `true`,
		`flat(logSplits(2.3, 2.61))`:        `[2.3,2.4,2.5,2.6]`,
	})
}

func TestTheCrosshairReadsTheNearestColumn(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`nearest(curve({ step: [0, 10, 20], value: [1, 2, 3] }), 14)`:                                                                                                 `1`,
		`nearest(curve({ step: [0, 10, 20], value: [1, 2, 3] }), 99)`:                                                                                                 `2`,
		`nearest(curve({ step: [0, 10, 20], value: [1, 2, 3] }), -5)`:                                                                                                 `0`,
		`nearest(curve({ step: [1, 2, 3], x: [5, 1, 9], value: [1, 2, 3] }), 2)`:                                                                                      `1`,
		`nearest(curve({ step: [1, 2, 3, 4], x: [1, null, null, 4], value: [1, 2, 3, 4] }), 3)`:                                                                       `3`,
		`nearest(curve({ step: [], value: [] }), 3)`:                                                                                                                  `-1`,
		`spotAt([curve({ step: [1], value: [1] }), curve({ step: [1], value: [5] })], 1, (v) => Math.abs(v - 4)).curve.series.value[0]`:                               `5`,
		`spotAt([{ ...curve({ step: [1], value: [1] }), hidden: true }], 1)`:                                                                                          `null`,
		`valueText({ curve: curve({ step: [1], value: [2.446610705015342] }), i: 0 })`:                                                                                `"2.446611"`,
		`valueText({ curve: curve({ step: [1], value: [18968.466579742075] }), i: 0 })`:                                                                               `"18968.47"`,
		`valueText({ curve: curve({ step: [1], value: [2.5] }), i: 0 })`:                                                                                              `"2.5"`,
		`exactText({ curve: curve({ step: [1], value: [-2.31254430001] }), i: 0 })`:                                                                                   `"−2.31254430001"`,
		`exactText({ curve: curve({ step: [1], value: [null], odd: [[0, "NaN"]] }), i: 0 })`:                                                                          `"NaN"`,
		`valueText({ curve: curve({ step: [1], value: [-1e-7] }), i: 0 })`:                                                                                            `"−1e-7"`,
		`valueText({ curve: curve({ step: [1], value: [null], odd: [[0, "NaN"]] }), i: 0 })`:                                                                          `"NaN"`,
		`placeText({ curve: curve({ step: [1200], value: [2] }), i: 0 }, { x: "step", kind: "step", smoothed: false })`:                                               `"at step 1,200"`,
		`placeText({ curve: curve({ width: 16, step: [1201, 1216], value: [2, 2], min: [1, 2], max: [3, 2] }), i: 0 }, { x: "step", kind: "step", smoothed: false })`: `"mean of steps 1,201–1,215 · 1.00 to 3.00"`,
		`placeText({ curve: curve({ step: [3], x: [3600], value: [2] }), i: 0 }, { x: "elapsed", kind: "elapsed", smoothed: true })`:                                  `"after 1 h 00 min · step 3 · smoothed"`,
		`placeText({ curve: curve({ step: [7], value: [2.107], min: [2], max: [2.02] }), i: 0 }, { x: "step", kind: "step", smoothed: true })`:                        `"at step 7 · smoothed · raw 2.00 to 2.02"`,
		`placeText({ curve: curve({ step: [7], value: [2.107], min: [2], max: [2] }), i: 0 }, { x: "step", kind: "step", smoothed: true })`:                           `"at step 7 · smoothed · raw 2.00"`,
		`lastSpot([curve({ step: [1, 2], value: [1, null] })]).i`:                                                                                                     `0`,
	})
}

func TestACurveWithoutAPlaceOnTheAxisSaysWhy(t *testing.T) {
	t.Parallel()
	const answers = curves + `
	const { runSource } = await import("./js/charts/load.js");
	const { linesSource } = await import("./js/compare/source.js");
	const ask = { metrics: ["loss"], x: "lr", from: null, to: null, px: 64, smooth: "", workers: "all", replaced: 0 };
	const load = async (source, body) => {
		globalThis.fetch = async () => new Response(JSON.stringify(body));
		const { curves, missing } = await source.load(ask, "", new AbortController().signal);
		return [curves.length, missing || ""];
	};
	const of = (x, missing) => ({ missing, series: [series({ step: [1, 2], x, value: [3, 4] })] });
	const lines = linesSource(() => "/s", new Map([["a", { name: "a", slot: 0, shade: null }], ["b", { name: "b", slot: 1, shade: null }]]));
	const both = (a, b) => ({ lines: [{ key: "a", answer: a }, { key: "b", answer: b }] });
`
	written(t, answers, map[string]string{
		`await load(runSource("/s"), of([null, null], "no lr"))`:               `[0,"no lr"]`,
		`await load(runSource("/s"), of([null, null]))`:                        `[0,"No step has a value of lr as well."]`,
		`await load(runSource("/s"), of([null, 1]))`:                           `[1,""]`,
		`await load(lines, both(of([null, null]), of([null, null], "no lr")))`: `[0,"no lr"]`,
		`await load(lines, both(of([1, 2]), of([null, null], "no lr")))`:       `[1,"no lr"]`,
	})
}

func TestTheAddressSaysTheView(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`search({})`: `"q=grad"`,
		`search({ x: "tokens", from: 10, to: 20.5, smooth: "ema:0.9", workers: "each", log: ["loss", "a&b"], clip: true, formulas: ["=val_loss - loss"] })`: `"q=grad&x=tokens&from=10&to=20.5&smooth=ema%3A0.9&workers=each&clip=1&log=loss&log=a%26b&formula=%3Dval_loss+-+loss"`,
		`search({ charts: ["loss", "=a + b"], formulas: ["mfu"] })`:                                                                                         `"q=grad&chart=loss&chart=%3Da+%2B+b&formula=mfu"`,
		`(() => { const p = new URLSearchParams("q=grad&plain=1"); writeView(readView(p), p, true); return p.toString(); })()`:                              `"q=grad&plain=1"`,
		`(() => { const p = new URLSearchParams("plain=1"); writeView({ ...readView(p), x: "time" }, p, true); return p.toString(); })()`:                   `"x=time"`,
		`layoutOf(readView(new URLSearchParams("x=time&from=1&to=2&replaced=1&log=loss&chart=mfu&q=grad")))`:                                                `"x=time&log=loss&chart=mfu"`,
		`readView(new URLSearchParams(search({ x: "time", from: 1, to: 2, log: ["x y"], replaced: 3, logx: true }))).log`:                                   `["x y"]`,
		`readView(new URLSearchParams("from=NaN&to=Infinity")).from`:                                                                                        `null`,
		`readView(new URLSearchParams("from=0&to=5")).from`:                                                                                                 `0`,
		`seriesURL("/s", { metrics: ["a", "=b-c"], x: "step", from: null, to: 7, px: 64, smooth: "", workers: "all", replaced: 0 })`:                        `"/s?metric=a&metric=%3Db-c&to=7&px=64"`,
	})
}

func TestTheSliderOfSmoothingKeepsItsPlace(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`smoothingAt("ema", 0)`: `""`, `smoothingAt("ema", 1)`: `"ema:0.5"`, `smoothingAt("ema", 100)`: `"ema:0.999"`,
		`smoothingAt("twema", 100)`: `"twema:86400s"`, `smoothingAt("gauss", 1)`: `"gauss:1"`, `smoothingAt("none", 50)`: `""`,
		`["ema", "twema", "gauss"].every((k) => steps.every((i) => i === 0 || notchOf(smoothingAt(k, i * 10)).notch === i * 10))`: `true`,
		`notchOf("twema:1h")`:   `{"kernel":"twema","notch":72}`,
		`notchOf("ema:2")`:      `{"kernel":"ema","notch":0}`,
		`notchOf("<script>:1")`: `{"kernel":"ema","notch":0}`,
	})
}

func TestAZoomAsksForMoreThanIsInSight(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`askedRange(100, 200)`:                        `[48,256]`,
		`askedRange(105, 205)`:                        `[48,256]`, // a small pan asks for nothing
		`askedRange(7, 7)`:                            `[7,7]`,
		`shifted([0, 10], { scale: 0.5 })`:            `[2.5,7.5]`,
		`shifted([0, 10], { move: 0.25 })`:            `[2.5,12.5]`,
		`shifted([0, 10], { scale: 0.5, around: 0 })`: `[0,5]`,
	})
}

func TestMarksThatWouldOverlapStandTogether(t *testing.T) {
	t.Parallel()
	places := `placesOf([{ step: 10, kind: "checkpoint", text: "a" }, { step: 12, kind: "nan", text: "b" }, { step: 50, kind: "restart", text: "c" }, { step: 500, kind: "join", text: "d" }], (m) => m.step, (v) => v * 2, 200)`
	written(t, curves, map[string]string{
		places + `.map((p) => p.marks.map((m) => m.kind))`:              `[["nan","checkpoint"],["restart"]]`,
		places + `.map((p) => p.x)`:                                     `[10,50]`,
		`wordsOf([{ step: 1200, kind: "restart", text: "attempt 2" }])`: `"restart at step 1,200: attempt 2"`,
	})
}

func TestTheTableOfAChartHasWhatIsInSight(t *testing.T) {
	t.Parallel()
	written(t, curves, map[string]string{
		`csv([curve({ step: [1, 2, 3], value: [1.5, null, 3], odd: [[1, "NaN"]] }, { name: "=a,\"b\"" })], [1, 2]).split("\n")`: `["curve,metric,worker,step,steps,x,value,min,max,not_finite","\"'=a,\"\"b\"\"\",loss,all,1,1,1,1.5,1.5,1.5,","\"'=a,\"\"b\"\"\",loss,all,2,1,2,,,,NaN",""]`,
	})
}
