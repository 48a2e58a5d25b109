// Package web serves the console's pages: routes, limits, guards, request log and error pages. Each section's handlers
// are a package below; they return errors, which are logged and rendered here.
package web
