// Package webtest is the console in memory, for the tests of its pages: a real server on a fake store and control.
package webtest
