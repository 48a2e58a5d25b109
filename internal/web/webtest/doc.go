// Package webtest serves the console in memory for tests of its pages, on fakes of store and control.
package webtest
