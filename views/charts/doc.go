// Package charts renders the places of curves, which the scripts in static/js/charts fill.
package charts
