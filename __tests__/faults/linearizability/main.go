// Checks with Porcupine that the histories of the tests with faults are linearizable: each grant is a counter, from which codes and
// refresh tokens are redeemed. Run it by hand after the tests: go run . ../../../node_modules/.cache/histories/*.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// A line of a history: see __tests__/support/history.ts.
type line struct {
	Client     int     `json:"client"`
	Kind       string  `json:"kind"`
	Grant      string  `json:"grant"`
	Generation int     `json:"generation"`
	Began      float64 `json:"began"`
	Ended      float64 `json:"ended"`
	Status     int     `json:"status"`
	Result     int     `json:"result"`
}

// The generation of a grant that has ended.
const over = -1

// step returns the states that may follow when a request was answered, or was not, in a state.
func step(state int, request line) []interface{} {
	spends := state == request.Generation
	switch {
	case request.Status == 200 && request.Result != request.Generation+1:
		return nil
	case request.Status == 200 && spends:
		return []interface{}{state + 1}
	case request.Status == 200 && request.Kind == "refresh" && state == request.Generation+1:
		// The answer to the request before was lost: its successor is given again.
		return []interface{}{state}
	case request.Status == 200:
		return nil
	case request.Status == 400 && request.Kind == "redeem" && state != 0:
		// A second use of a code ends its grant, unless it follows at once.
		return []interface{}{state, over}
	case request.Status == 400:
		return nil
	case spends:
		return []interface{}{state, state + 1}
	default:
		return []interface{}{state}
	}
}

var model = porcupine.NondeterministicModel{
	Init: func() []interface{} { return []interface{}{0} },
	Step: func(state, _, answered interface{}) []interface{} {
		return step(state.(int), answered.(line))
	},
}

func read(name string) (map[string][]porcupine.Operation, int, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	grants := map[string][]porcupine.Operation{}
	count := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); count++ {
		var request line
		if err := json.Unmarshal(scanner.Bytes(), &request); err != nil {
			return nil, 0, err
		}
		// A request without an answer may take effect at any later time.
		ended := int64(math.MaxInt64)
		if request.Status == 200 || request.Status == 400 {
			ended = int64(request.Ended * 1000)
		}
		grants[request.Grant] = append(grants[request.Grant], porcupine.Operation{
			ClientId: len(grants[request.Grant]),
			Input:    request,
			Output:   request,
			Call:     int64(request.Began * 1000),
			Return:   ended,
		})
	}
	return grants, count, nil
}

func main() {
	failed := false
	for _, name := range os.Args[1:] {
		grants, count, err := read(name)
		if err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		wrong := 0
		for grant, operations := range grants {
			if result := porcupine.CheckOperationsTimeout(model.ToModel(), operations, time.Minute); result != porcupine.Ok {
				wrong++
				fmt.Printf("%s: grant %s: %s\n", name, grant, result)
			}
		}
		fmt.Printf("%s: %d requests, %d grants, %d not linearizable\n", name, count, len(grants), wrong)
		failed = failed || wrong > 0
	}
	if failed {
		os.Exit(1)
	}
}
