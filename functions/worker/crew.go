package worker

// crew runs functions on goroutines that stay for the next one. A goroutine starts with a small stack, which grows by
// copying; for jobs of microseconds that copying costs more than the handler. It grows to as many goroutines as run
// at once. The zero value is not usable.
type crew struct {
	next chan func()
	quit chan struct{}
}

func newCrew() *crew { return &crew{next: make(chan func()), quit: make(chan struct{})} }

// run calls f on an idle goroutine, or on a new one if there is none.
func (c *crew) run(f func()) {
	select {
	case c.next <- f:
	default:
		go c.member(f)
	}
}

// member runs f, and then what comes, until the crew is dismissed. A function that ends its goroutine takes the
// member with it.
func (c *crew) member(f func()) {
	for {
		f()
		select {
		case f = <-c.next:
		case <-c.quit:
			return
		}
	}
}

// dismiss ends the idle goroutines, and the others when they are done.
func (c *crew) dismiss() { close(c.quit) }
