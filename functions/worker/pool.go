package worker

// pool runs functions on goroutines that stay for the next function. A goroutine starts with a
// small stack, which grows by copying; for jobs of microseconds that copying costs more than the
// handler. The pool grows to as many goroutines as run at once. Make one with newPool.
type pool struct {
	next chan func()
	quit chan struct{}
}

func newPool() *pool { return &pool{next: make(chan func()), quit: make(chan struct{})} }

// run calls f on an idle goroutine, or on a new one if none is idle.
func (p *pool) run(f func()) {
	select {
	case p.next <- f:
	default:
		go p.loop(f)
	}
}

// loop runs f, and then what comes, until the pool is closed. A function that ends its goroutine
// ends the loop with it.
func (p *pool) loop(f func()) {
	for {
		f()
		select {
		case f = <-p.next:
		case <-p.quit:
			return
		}
	}
}

// close ends the idle goroutines, and the other goroutines when their functions return.
func (p *pool) close() { close(p.quit) }
