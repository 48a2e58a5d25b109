// Package chart answers what a chart asks of one run: curves of metrics, formulas and derived metrics, over steps, time or another
// metric, in as many columns as there are pixels, with what happened beside them.
package chart
