// Package imports holds the module to its import table: which package may use
// what, inside the module and outside, each ban with its reason. It is a test
// and nothing else; table_test.go is the table, the one place to change a rule.
//
// In a pure package (see row.pure) the test also refuses what an import table
// cannot see: reading the clock, global randomness, goroutines, output.
package imports
