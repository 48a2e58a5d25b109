// Package siterules keeps a site's own rules of diagnosis: it compiles them over the built-in ones, follows their changes, and tries rules
// on past failures before they take effect.
package siterules
