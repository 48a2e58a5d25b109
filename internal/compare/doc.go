// Package compare finds what tells runs apart: which settings differ, how their metrics compare to a baseline's, and which setting
// a metric depends on.
package compare
