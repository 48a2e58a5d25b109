// Package help serves the documents of the folder docs: it renders them from Markdown once, and searches them.
package help
