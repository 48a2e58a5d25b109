package storage

// PageSize is for the test of a folder that fills a page.
const PageSize = storagePage
