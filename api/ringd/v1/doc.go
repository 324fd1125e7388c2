// Package ringdv1 is the protocol between ringd's members and their clients:
// generated code, made again by make generate.
package ringdv1
