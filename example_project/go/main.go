// Command gofmt formats the Go source on its standard input to its standard output.
package main

import (
	"fmt"
	"go/format"
	"io"
	"os"
)

func main() {
	source, err := io.ReadAll(os.Stdin)
	if err == nil {
		source, err = format.Source(source)
	}
	if err == nil {
		_, err = os.Stdout.Write(source)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
