// Package templates is the pages of templates and presets.
package templates
