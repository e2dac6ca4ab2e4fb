/* sched/barrier.h and team_progress.h: MEMBERS arrive GENERATIONS times, in GROUPS groups. */
#ifndef MEMBERS
#define MEMBERS 3
#endif
#ifndef GENERATIONS
#define GENERATIONS 3
#endif
#ifndef GROUPS
#define GROUPS 1
#endif
#define COUNTS (1 + GROUPS)
#define ALL 0
#define RELEASED(g) (1 + (g))
#if GROUPS == 1
#define LINE ALL
#else
#define LINE RELEASED(group)
#endif

#include "progress.pml"

byte reported[GROUPS];
byte arrived[MEMBERS];
byte ended;

proctype Member(byte me) {
  byte ticket, any, group, size, generation, g;
  bool last;
  d_step {
    group = me * GROUPS / MEMBERS;
    g = 0;
    do /* its group's size */
    :: g < MEMBERS -> size = size + (g * GROUPS / MEMBERS == group -> 1 : 0); g++
    :: else -> break
    od;
    g = 0
  }
  do
  :: generation < GENERATIONS ->
     generation++;
     arrived[me] = generation;
#if GROUPS == 1
     Add(ALL, 1, generation * MEMBERS);
#else
     atomic { reported[group]++; last = (reported[group] == generation * size) }
     if
     :: last ->
        atomic { value[ALL] = value[ALL] + size; last = (value[ALL] == generation * MEMBERS) }
        if
        :: last ->
           g = 0;
           do
           :: g < GROUPS -> Raise(RELEASED(g), generation * MEMBERS); g++
           :: else -> g = 0; break
           od
        :: else
        fi
     :: else
     fi;
     last = false;
#endif
     Await(LINE, generation * MEMBERS);
     d_step { /* nobody leaves before everybody came */
       g = 0;
       do
       :: g < MEMBERS -> assert(arrived[g] >= generation); g++
       :: else -> break
       od;
       g = 0
     }
  :: else -> break
  od;
  ended++
}

init {
  byte i;
  atomic {
    do
    :: i < MEMBERS -> run Member(i); i++
    :: else -> break
    od
  }
}

ltl all_end { <> (ended == MEMBERS) }
