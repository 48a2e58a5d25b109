// Package web serves the console's pages: it lists the routes, bounds, guards and logs requests, and answers with what failed.
// The handlers of a section of the console are a package of their own below it; they return errors, which are logged and
// rendered in one place.
package web
