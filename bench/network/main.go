// Network stands between the programs that bench/compare times and the registries.
//
//	network relay LISTEN TARGET DELAY   a TCP relay with a constant delay each way
//	network tokens LISTEN CERTIFICATE   a token service that grants everything that is asked for
//
// Both run until they are stopped.
package main

import (
	"fmt"
	"log"
	"os"
	"time"
)

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 4 && arguments[0] == "relay":
		delay, err := time.ParseDuration(arguments[3])
		if err != nil {
			return err
		}
		return relay(arguments[1], arguments[2], delay)
	case len(arguments) == 3 && arguments[0] == "tokens":
		return serveTokens(arguments[1], arguments[2])
	}
	return fmt.Errorf("usage: network relay LISTEN TARGET DELAY | network tokens LISTEN CERTIFICATE")
}
