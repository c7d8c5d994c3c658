package retry

// Outcome says what is known about the effect of an operation that failed.
type Outcome uint8

// The outcomes. The zero value knows nothing.
const (
	// Unknown: the operation may have taken effect, once, or may yet.
	Unknown Outcome = iota
	// DidNotRun: nothing that the server could execute was sent.
	DidNotRun
	// RolledBack: the operation ran in a transaction that ended without commit.
	RolledBack
)

// String returns a short description.
func (o Outcome) String() string {
	switch o {
	case DidNotRun:
		return "did not run"
	case RolledBack:
		return "rolled back"
	default:
		return "outcome unknown"
	}
}
