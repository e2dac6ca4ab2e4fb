/* The protocol of sched/thread_pool.cc and region_gate.h: MEMBERS, the caller among them, and
   REGIONS regions. Before each the caller may bench members or call them back, and each is for
   everybody or for the team; all of these choices are searched. Then all is stopped. */
#ifndef MEMBERS
#define MEMBERS 3
#endif
#ifndef REGIONS
#define REGIONS 3
#endif
/* SCRIPT: the last member is benched, a region of everybody comes, it is called back, the team goes
   through a region. Else all choices are searched. */
#ifdef SCRIPT
#define TURNS(region) (region != 1)
#define KEEPS(region) (region == 1)
#define FOR_ALL(region) (region == 2)
#define FOR_TEAM(region) (region != 2)
#else
#define TURNS(region) true
#define KEEPS(region) true
#define FOR_ALL(region) true
#define FOR_TEAM(region) true
#endif
#define COUNTS 4
#define START 0
#define BENCH 1
#define FINISHED 2
#define EMPTY 3

#include "progress.pml"

/* The gate: one word in the program, so changed in one step. */
byte gate_number;
bool gate_open;
byte gate_inside;

bool benched[MEMBERS];
bool everybody;
bool stopping;
byte target; /* of FINISHED */

/* What each member saw last: of START, of BENCH, of the gate's numbers. */
byte started[MEMBERS];
byte called[MEMBERS];
byte last_region[MEMBERS];

/* What is to be shown. */
bool closed = true;
byte ran[MEMBERS];
byte ended;

/* Add(p, 1, value[p] + 1) where nobody else adds. */
inline Signal(p) {
  Raise(p, value[p] + 1)
}

inline Region() {
  atomic { assert(!closed); ran[me]++ }
  if
  :: everybody -> Add(FINISHED, 1, target)
  :: else
  fi
}

proctype Member(byte me) {
  byte ticket, any;
  bool entered;
  do
  ::
     if
     :: benched[me] -> Await(BENCH, called[me] + 1); called[me] = value[BENCH]
     :: else -> Await(START, started[me] + 1); started[me] = value[START]
     fi;
     if
     :: stopping -> break
     :: else
     fi;
     atomic {
       entered = (gate_open && gate_number != last_region[me]);
       if
       :: entered -> gate_inside++; last_region[me] = gate_number
       :: else
       fi
     }
     if
     :: entered ->
        if
        :: everybody || !benched[me] -> Region()
        :: else
        fi;
        assert(!closed);
        atomic { gate_inside--; entered = (!gate_open && gate_inside == 0) }
        if
        :: entered -> Signal(EMPTY)
        :: else
        fi
     :: else
     fi
  od;
  ended++
}

/* The last member is benched or called back. */
inline SetTeam() {
  benched[MEMBERS - 1] = !benched[MEMBERS - 1];
  Signal(BENCH)
}

/* Counts only grow and members only compare with them, so that who is behind is all that matters
   between regions, and not by how much: fewer states. */
inline Renumber() {
  d_step {
    i = 0;
    do
    :: i < MEMBERS ->
       started[i] = (started[i] == value[START] -> 1 : 0);
       called[i] = (called[i] == value[BENCH] -> 1 : 0);
       last_region[i] = (last_region[i] == gate_number -> 1 : 0);
       i++
    :: else -> break
    od;
    i = 0;
    value[START] = 1;
    value[BENCH] = 1;
    value[FINISHED] = 0;
    value[EMPTY] = 0;
    gate_number = 1;
    target = 0
  }
}

inline CheckRegion() {
  d_step { /* everybody once; the benched only then; ran is ready for the next */
    i = 0;
    do
    :: i < MEMBERS ->
       assert(ran[i] <= 1);
       assert(!everybody || ran[i] == 1);
       assert(everybody || !benched[i] || ran[i] == 0);
       ran[i] = 0;
       i++
    :: else -> break
    od;
    i = 0
  }
}

proctype Caller() {
  byte me, ticket, any, region, i;
  bool some;
  do
  :: region < REGIONS ->
     if
     :: TURNS(region) -> SetTeam()
     :: KEEPS(region) -> skip
     fi;
     atomic { /* what only those inside read, and the gate */
       region++;
       if
       :: FOR_ALL(region) -> everybody = true
       :: FOR_TEAM(region) -> everybody = false
       fi;
       target = value[FINISHED] + MEMBERS;
       closed = false;
       gate_number++;
       gate_open = true
     }
     Signal(START);
     if
     :: everybody && benched[MEMBERS - 1] -> Signal(BENCH)
     :: else
     fi;
     Region();
     if
     :: everybody -> Await(FINISHED, target)
     :: else
     fi;
     atomic { some = (gate_inside != 0); gate_open = false }
     if
     :: some -> some = false; Await(EMPTY, 1)
     :: else
     fi;
     atomic {
       closed = true;
       CheckRegion();
       Renumber()
     }
  :: else -> break
  od;
  stopping = true;
  Signal(START);
  Signal(BENCH);
  ended == MEMBERS - 1;
  ended++
}

init {
  byte i;
  atomic {
    run Caller();
    i = 1;
    do
    :: i < MEMBERS -> run Member(i); i++
    :: else -> break
    od
  }
}

ltl all_end { <> (ended == MEMBERS) }
