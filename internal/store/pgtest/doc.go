// Package pgtest gives tests a real PostgreSQL: each test a database of its own ([URL]) on a server that its process starts
// on a socket in a temporary folder, or a whole server to break ([Start]), or a proxy in front of one ([NewProxy]).
// Nothing of it outlives the test process, however that ends. Where there is no PostgreSQL such tests are skipped, or fail
// if COTRAIN_TEST_REQUIRE is postgres, as .ci/run sets it.
package pgtest
