/* sched/progress.h, step by step: each atomic operation is one, and so is the kernel's comparing of
   the word with falling asleep. Includers define MEMBERS and COUNTS, and the member's number as `me`,
   and `ticket` and `any` as scratch of each process. Memory is sequentially consistent here;
   weaker memory is what relacy is for.

   BROKEN=1 looks for sleepers before it changes the value. BROKEN=2 takes the ticket after the look
   at the value. (Defects of broken_progress.h.) */
#ifndef BROKEN
#define BROKEN 0
#endif

byte value[COUNTS];
byte sleepers[COUNTS];
byte wakes[COUNTS];
bool asleep[COUNTS * MEMBERS];
#ifndef SPURIOUS
#define SPURIOUS 1
#endif
byte spurious = SPURIOUS; /* so many futex calls of a run return for no reason */

inline FutexWakeAll(p) {
  d_step {
    any = 0;
    do
    :: any < MEMBERS -> asleep[(p) * MEMBERS + any] = false; any++
    :: else -> break
    od;
    any = 0
  }
}

#if BROKEN == 1
#define LOOK_EARLY(p) any = sleepers[p];
#define ANY_SLEEPER(p) (any != 0)
#else
#define LOOK_EARLY(p)
#define ANY_SLEEPER(p) (sleepers[p] != 0)
#endif

inline WakeSleepers(p) {
  if
  :: ANY_SLEEPER(p) -> wakes[p]++; FutexWakeAll(p)
  :: else
  fi
}

inline Add(p, n, target) {
  LOOK_EARLY(p)
  if
  :: atomic { value[p] + n == (target) -> value[p] = value[p] + n }
     WakeSleepers(p)
  :: atomic { value[p] + n != (target) -> value[p] = value[p] + n }
  fi
}

/* A loop of compare and exchange in the program: the exchange is what counts. */
inline Raise(p, target) {
  LOOK_EARLY(p)
  atomic {
    if
    :: value[p] < (target) -> value[p] = (target)
    :: else
    fi
  }
  WakeSleepers(p)
}

inline FutexWait(p) {
  atomic {
    if
    :: wakes[p] == ticket -> asleep[(p) * MEMBERS + me] = true
    :: else
    fi
  }
  if
  :: atomic { !asleep[(p) * MEMBERS + me] }
  :: atomic {
       asleep[(p) * MEMBERS + me] && spurious > 0 ->
       spurious--; asleep[(p) * MEMBERS + me] = false
     }
  fi
}

inline Await(p, target) {
  if
  :: value[p] >= (target)
  :: else ->
     sleepers[p]++;
     do
     ::
#if BROKEN != 2
        ticket = wakes[p];
#endif
        if
        :: value[p] >= (target) -> break
        :: else
        fi;
#if BROKEN == 2
        ticket = wakes[p];
#endif
        FutexWait(p)
     od;
     atomic { /* which ticket is next matters to nobody when none is held: fewer states */
       ticket = 0;
       sleepers[p]--;
       if
       :: sleepers[p] == 0 -> wakes[p] = 0
       :: else
       fi
     }
  fi
}
