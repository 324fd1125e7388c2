// Package proctest starts real ringd processes for tests: built once a test
// binary, on free ports of 127.0.0.1, their data in the test's own directory,
// ended with the test.
package proctest
