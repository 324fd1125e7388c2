// Package plants holds bugs to be planted into ringd, one at a time, to see what
// finds them: a checker that has never failed proves nothing. Each is a small
// mistake that somebody might make, as edits of the present source. The source
// itself is not touched: the go command builds with the edits laid over it.
//
// Only tests and the programs that test use it.
package plants
